import { backward, createAdamW, noGrad, scope, tensor } from "@cloze/tensor";
import fc from "fast-check";
import { expect, test } from "vitest";
import { packSequences } from "../data/packed-batch.js";
import { randomSource } from "../data/random-source.js";
import { uniformEncoder } from "../encoder/config.js";
import { createModel } from "../families/index.js";
import { madeVocabulary } from "../recipes/index.js";
import { createObjective, parseObjective } from "./index.js";
import type { MaskedBatch } from "./masking.js";
import type { ObjectiveFrame } from "./objective.js";
import { collectionLanguage, documentLanguage, preferenceLoss, wordSets } from "./representative-words.js";

const vocabulary = madeVocabulary(40);
const documents = Array.from({ length: 12 }, (_, d) =>
  Array.from({ length: 20 }, (_, i) => 5 + ((i * i + 3 * d) % 35)),
);
const collection = collectionLanguage(documents, vocabulary.vocabularySize);

test("the loss is the hinge, 2 sigmoid(worse - better), and 1 where both score the same", () => {
  const number = fc.double({ min: -8, max: 8, noNaN: true });
  fc.assert(
    fc.property(number, number, (better, worse) => {
      const p = Math.exp(better) / (Math.exp(better) + Math.exp(worse));
      const loss = scope(() => preferenceLoss(tensor([[better]]), tensor([[worse]])).item());
      expect(loss).toBeCloseTo(Math.max(0, 1 - (p - (1 - p))), 5);
      expect(loss).toBeCloseTo(2 / (1 + Math.exp(better - worse)), 5);
    }),
  );
  expect(scope(() => preferenceLoss(tensor([[3]]), tensor([[3]])).item())).toBe(1);
});

test("a document's language adds up to 1, and sets are of equal length, drawn from it, the likelier one first", () => {
  for (const document of documents.slice(0, 3)) {
    const language = documentLanguage(document, collection);
    const total = Array.from({ length: vocabulary.vocabularySize }, (_, id) => Math.exp(language(id))).reduce(
      (sum, one) => sum + one,
      0,
    );
    expect(total).toBeCloseTo(1, 10);
  }
  fc.assert(
    fc.property(fc.nat(), fc.nat({ max: 11 }), (seed, d) => {
      const { better, worse } = wordSets(documents[d], collection, randomSource(seed));
      expect(better.length).toBe(worse.length);
      expect(better.length).toBeGreaterThan(0);
      expect(new Set(better).size).toBe(better.length);
      const language = documentLanguage(documents[d], collection);
      const likelihood = (set: Int32Array) => set.reduce((sum, id) => sum + language(id), 0);
      expect(likelihood(better)).toBeGreaterThanOrEqual(likelihood(worse));
    }),
  );
  // Single words come as often as the language says.
  const language = documentLanguage(documents[0], collection);
  const counts = new Map<number, number>();
  let drawn = 0;
  for (let seed = 0; seed < 4000; seed++) {
    const { better, worse } = wordSets(documents[0], collection, randomSource(seed), { meanWords: 0.01 });
    for (const id of [...better, ...worse]) {
      counts.set(id, (counts.get(id) ?? 0) + 1);
      drawn++;
    }
  }
  for (const id of [documents[0][0], documents[0][5], 30])
    expect((counts.get(id) ?? 0) / drawn).toBeCloseTo(Math.exp(language(id)), 1);
});

test("each document stands twice, behind the better set and the worse; training tells them apart", () => {
  const model = createModel({
    architecture: "ForMaskedLM",
    seed: 1,
    config: uniformEncoder({
      vocabularySize: vocabulary.vocabularySize,
      hiddenSize: 16,
      layers: 1,
      heads: 2,
      maxPositions: 16,
      dropout: 0,
      initializerRange: 0.1,
    }),
  });
  const frame: ObjectiveFrame = { model, vocabulary, maxLength: 16, batchTokens: 64, seed: 1, texts: () => documents };
  const objective = createObjective(parseObjective({ type: "prop", maskedLanguageWeight: 0 }), frame);
  const batch = packSequences(documents.map((ids) => ({ ids: [vocabulary.clsId, ...ids, vocabulary.sepId] })));
  const prepared = objective.prepare?.(batch, randomSource(1)) as MaskedBatch;
  expect(objective.prepare?.(batch, randomSource(1))).toEqual(prepared);
  const { offsets, segments } = prepared.batch;
  expect(offsets.length - 1).toBe(2 * documents.length);
  for (let d = 0; d < documents.length; d++) {
    const [first, second, end] = [offsets[2 * d], offsets[2 * d + 1], offsets[2 * d + 2]];
    expect(second - first).toBe(end - second);
    expect(end - second).toBeLessThanOrEqual(16);
    expect([...segments.subarray(first, second)]).toEqual([...segments.subarray(second, end)]);
  }
  const context = { seed: 0, step: 0, training: false };
  const loss = () => scope(() => noGrad(() => objective.loss(prepared, context).item()));
  const before = loss();
  const parameters = new Map([...model.encoder.parameters, ...objective.parameters]);
  const optimizer = createAdamW([{ name: "all", parameters, learningRate: 1e-2 }]);
  for (let step = 0; step < 30; step++) {
    scope(() => backward(objective.loss(prepared, context)));
    optimizer.step();
    optimizer.zeroGrad();
  }
  expect(loss()).toBeLessThan(before / 2);
  const both = createObjective(parseObjective({ type: "prop" }), frame);
  const sum = scope(() => noGrad(() => both.loss(prepared, context).item()));
  expect(sum).toBeGreaterThan(2);
  expect(() => createObjective(parseObjective({ type: "prop" }), { ...frame, texts: undefined })).toThrow(/corpus/);
  optimizer.dispose();
  both.dispose();
  objective.dispose();
  model.dispose();
});
