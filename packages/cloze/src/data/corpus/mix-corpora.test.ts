// Corpora of two sizes as one: shares of what is read, in the order of files, for any objective (arXiv 2005.07202).
import { expect, test } from "vitest";
import { uniformEncoder } from "../../encoder/config.js";
import { createModel } from "../../families/index.js";
import { madeVocabulary } from "../../recipes/index.js";
import { preparePretraining, pretrain } from "../../training/pretrain.js";
import { memoryStore } from "../memory-store.js";
import type { PackedBatch } from "../packed-batch.js";
import { randomSource } from "../random-source.js";
import type { TokenStore } from "../token-store.js";
import { mixCorpora } from "./mix-corpora.js";

const vocabulary = madeVocabulary(40);
/** Documents of one corpus have tokens of one half of the vocabulary. */
function corpusOf(documents: number, first: number, seed: number): TokenStore {
  const random = randomSource(seed);
  return memoryStore(
    Array.from({ length: documents }, () =>
      Array.from({ length: 10 + Math.floor(60 * random()) }, () => first + Math.floor(20 * random())),
    ),
  );
}
const small = corpusOf(60, 5, 1);
const large = corpusOf(900, 25, 2);
const options = { shardTokens: 400, shardsPerFile: [5, 5], files: 40, length: 14, seed: 3 };

test("both corpora have half of every token that is read, to 2 %, whatever the objective", () => {
  const mixed = mixCorpora([small, large], options);
  const model = createModel({
    architecture: "ForPreTraining",
    config: uniformEncoder({
      vocabularySize: vocabulary.vocabularySize,
      hiddenSize: 8,
      layers: 1,
      heads: 2,
      maxPositions: 20,
    }),
    seed: 1,
  });
  for (const objective of [{ type: "masked-language" }, { type: "masked-pairs", sentenceTask: "nsp" }]) {
    const prepared = preparePretraining(model, vocabulary, mixed, { objective, batchTokens: 512, seed: 1 });
    let [ofSmall, all, batches, both] = [0, 0, 0, 0];
    while (all < mixed.tokens * 0.98) {
      const { batch, rows, targets } = prepared.source.next() as {
        batch: PackedBatch;
        rows: Int32Array;
        targets: Int32Array;
      };
      const ids = batch.ids.slice();
      rows.forEach((row, i) => {
        ids[row] = targets[i];
      });
      const words = ids.filter((id) => !vocabulary.specialIds.has(id));
      const fromSmall = words.filter((id) => id < 25).length;
      ofSmall += fromSmall;
      all += words.length;
      batches++;
      both += Number(fromSmall > 0 && fromSmall < words.length);
    }
    expect(Math.abs(ofSmall / all - 0.5)).toBeLessThan(0.02);
    // Simultaneous: no batch is of one corpus alone.
    expect(both).toBe(batches);
    prepared.dispose();
  }
  model.dispose();
});

test("files are the same for a seed; shards come evenly; what comes again is masked anew", async () => {
  const mixed = mixCorpora([small, large], options);
  expect(mixCorpora([small, large], options).composition).toEqual(mixed.composition);
  expect(mixCorpora([small, large], { ...options, seed: 4 }).composition).not.toEqual(mixed.composition);
  const times = new Map<number, number>();
  for (const [shards] of mixed.composition) for (const shard of shards) times.set(shard, (times.get(shard) ?? 0) + 1);
  expect(Math.max(...times.values()) - Math.min(...times.values())).toBeLessThanOrEqual(1);
  const lengths = Array.from({ length: mixed.count }, (_, i) => mixed.length(i));
  expect(Math.max(...lengths)).toBe(14);
  expect(lengths.reduce((a, b) => a + b, 0)).toBe(mixed.tokens);
  expect(
    Array.from({ length: mixed.count }, (_, i) => mixed.fileOf(i)).every((f, i, all) => i === 0 || f >= all[i - 1]),
  ).toBe(true);
  // One document of one corpus: the same words again and again.
  const one = mixCorpora([memoryStore([[7, 8, 9, 10, 11, 12, 13, 14, 15, 16]]), large], {
    ...options,
    shardsPerFile: [1, 0],
    files: 12,
  });
  expect(one.count).toBe(12);
  const model = createModel({
    architecture: "ForMaskedLM",
    config: uniformEncoder({ vocabularySize: 45, hiddenSize: 8, layers: 1, heads: 2, maxPositions: 20 }),
    seed: 1,
  });
  const prepared = preparePretraining(model, vocabulary, one, { batchTokens: 144, seed: 1 });
  const { rows, batch } = prepared.source.next() as { rows: Int32Array; batch: PackedBatch };
  expect(new Set(Array.from(rows, (row) => row % 12)).size).toBeGreaterThan(3);
  expect(batch.offsets.length - 1).toBe(12);
  prepared.dispose();
  const { steps } = await pretrain(model, vocabulary, one, { steps: 2, batchTokens: 64 });
  expect(steps).toBe(2);
  model.dispose();
});

test("three corpora in any shares; a corpus without documents is refused", () => {
  const three = mixCorpora([small, large, corpusOf(200, 5, 9)], { ...options, shardsPerFile: [2, 5, 3], files: 20 });
  const tokens = [0, 0, 0];
  for (let i = 0; i < three.count; i++) tokens[three.sourceOf(i)] += three.length(i);
  tokens.forEach((count, corpus) => {
    expect(Math.abs(count / three.tokens - [0.2, 0.5, 0.3][corpus])).toBeLessThan(0.02);
  });
  expect(() => mixCorpora([small, memoryStore([])], options)).toThrow(/no documents/);
  expect(() => mixCorpora([small, large], { ...options, shardsPerFile: [1] })).toThrow(/Each corpus has shards/);
});
