// Embedders with fields (arXiv 2401.15713): the same until trained, then each field its own; saved and loaded; what is refused.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Tensor } from "@cloze/tensor";
import { afterAll, describe, expect, test } from "vitest";
import { uniformEncoder } from "../encoder/config.js";
import { createModel } from "../families/index.js";
import { trainWordPiece } from "../text/index.js";
import { createEmbedder, type Embedder } from "./embedder.js";
import { binaryPairEvaluator } from "./evaluation/index.js";
import { extendWithExperts } from "./extend-experts.js";
import { cocitationPairs } from "./mining/index.js";
import { loadEmbedder, saveEmbedder } from "./sentence-transformers.js";
import { trainEmbedder } from "./train-embedder.js";
import { epochPlan } from "./training/batches.js";

const folder = mkdtempSync(join(tmpdir(), "cloze-extend-experts-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const texts = ["a cat here now", "the small dog", "moon and more stars", "the sun and the earth"];
const tokenizer = trainWordPiece(texts, { vocabularySize: 80, minFrequency: 1 });
const config = uniformEncoder({
  vocabularySize: tokenizer.vocabularySize,
  hiddenSize: 16,
  layers: 2,
  heads: 2,
  intermediateSize: 24,
  maxPositions: 16,
  initializerRange: 0.2,
  dropout: 0,
});
const create = (options = {}): Embedder =>
  createEmbedder(createModel({ architecture: "Model", config, head: { type: "none" }, seed: 4 }), tokenizer, options);
const fields = ["[SKY]", "[PETS]"];
const vectors = (embedder: Embedder, options = {}): Float32Array => {
  const all = embedder.embed(texts, options);
  const values = all.toTypedArray() as Float32Array;
  all.dispose();
  return values;
};
const weights = ({ parameters }: Embedder): Map<string, number[]> =>
  new Map([...parameters].map(([name, value]: [string, Tensor]) => [name, Array.from(value.toTypedArray())]));
const rows = fields.flatMap((field, i) =>
  texts.map((query, row) => ({ query, document: texts[(row + i + 1) % 4], field })),
);

test.each([true, false])(
  "until it is trained, every field's vectors are those of before (tokens: %s)",
  (fieldTokens) => {
    const dense = create();
    const extended = extendWithExperts(dense, { fields, fieldTokens });
    for (const field of fields) expect(vectors(extended, { field })).toEqual(vectors(dense));
  },
);

test("the row of a field's token is that of [CLS], and the token stands in its place", () => {
  const extended = extendWithExperts(create(), { fields });
  const table = weights(extended).get("embeddings.word.weight") ?? [];
  const row = (id: number) => table.slice(16 * id, 16 * id + 16);
  for (const field of fields) {
    const id = extended.tokenizer.tokenToId(field) ?? -1;
    expect(row(id)).toEqual(row(tokenizer.clsId));
    const [plain] = extended.tokenize(texts);
    const [told] = extended.tokenize(texts, { field });
    expect(plain[0]).toBe(tokenizer.clsId);
    expect(Array.from(told)).toEqual([id, ...plain.subarray(1)]);
  }
});

test("experts share no memory: training one field moves its expert alone", async () => {
  const extended = extendWithExperts(create(), { fields, fieldTokens: false });
  const before = weights(extended);
  await trainEmbedder(
    extended,
    rows.filter(({ field }) => field === "[PETS]"),
    { steps: 2, learningRate: 1e-2 },
  );
  for (const [name, values] of weights(extended)) {
    if (name.includes(".experts.0.")) expect(values, name).toEqual(before.get(name));
    if (name.includes(".experts.1.output.weight")) expect(values, name).not.toEqual(before.get(name));
  }
});

test("saved and loaded it is the same, equal experts and fields included", () => {
  const extended = extendWithExperts(create(), { fields });
  saveEmbedder(extended, folder);
  const loaded = loadEmbedder(folder);
  expect(loaded.options.fields).toEqual(fields);
  expect([...loaded.parameters.keys()]).toEqual([...extended.parameters.keys()]);
  for (const field of fields) expect(vectors(loaded, { field })).toEqual(vectors(extended, { field }));
});

describe("training", () => {
  const options = { steps: 6, batchSize: 4, learningRate: 1e-2, seed: 3 };
  test("sets fields apart, and a stopped run that goes on equals one that was not stopped", async () => {
    const [whole, first, second] = [0, 1, 2].map(() => extendWithExperts(create(), { fields }));
    await trainEmbedder(whole, rows, options);
    const path = join(folder, "run");
    await trainEmbedder(first, rows, { ...options, folder: path, shouldStop: (step) => step === 3 });
    await trainEmbedder(second, rows, { ...options, folder: path, resume: true });
    expect(weights(second)).toEqual(weights(whole));
    expect(vectors(whole, { field: fields[0] })).not.toEqual(vectors(whole, { field: fields[1] }));
  });

  test("in chunks is the whole", async () => {
    const [whole, parts] = [0, 1].map(() => extendWithExperts(create(), { fields }));
    const a = await trainEmbedder(whole, rows, { ...options, steps: 2, learningRate: 1e-3 });
    const b = await trainEmbedder(parts, rows, { ...options, steps: 2, learningRate: 1e-3, chunkSize: 3 });
    expect(b.loss).toBeCloseTo(a.loss, 4);
  });

  test("routers learn the field they are asked for", async () => {
    const routed = extendWithExperts(create(), { fields, route: "top-k", k: 1, renormalise: false });
    const router = { specified: 5, balance: 0.05, information: 0.01 };
    // The first two texts are of one field, the others of the other.
    const told = texts.map((query, i) => ({ query, document: texts[i ^ 1], field: fields[i >> 1] }));
    await trainEmbedder(routed, told, { ...options, router, steps: 25, noDuplicates: false });
    for (const [expert, field] of fields.entries()) {
      const batch = routed.pack(texts.slice(2 * expert, 2 * expert + 2), { field });
      const { routerLogits = [] } = routed.model.encoder.forward(batch, { routerLogits: true });
      const [before, after] = routerLogits.map((logits) => logits.toTypedArray());
      for (const text of [0, 1]) {
        const of = (i: number) => before[2 * text + i] + after[2 * text + i];
        expect(of(expert)).toBeGreaterThan(of(1 - expert));
      }
    }
  });

  test("batches of fields in turn hold one field each, and every row as often", () => {
    const all = rows.map(({ query, document, field }) => ({ texts: [query, document], field }));
    const plan = epochPlan("triplet", all, { size: 2, seed: 1, noDuplicates: false, fieldBatches: "in-turn" })(0);
    const used = plan.map((batch) => [...new Set(Array.from(batch, (row) => all[row].field))]);
    expect(used).toEqual([[fields[0]], [fields[1]], [fields[0]], [fields[1]]]);
    expect(plan.flatMap((batch) => Array.from(batch)).sort((a, b) => a - b)).toEqual([...all.keys()]);
  });
});

describe("what is refused", () => {
  const extended = extendWithExperts(create(), { fields });
  test("an unknown field, and texts without one where experts are given", () => {
    expect(() => extended.embed(texts, { field: "[SEA]" })).toThrow(expect.objectContaining({ code: "FIELD_UNKNOWN" }));
    expect(() => extended.embed(texts)).toThrow(expect.objectContaining({ code: "EXPERT_ROUTES" }));
  });
  test("rows of which only some name a field", async () => {
    const mixed = [...rows, { query: "a", document: "b" }];
    await expect(trainEmbedder(extended, mixed)).rejects.toThrow(expect.objectContaining({ code: "TRAINING_ROWS" }));
  });
  test("field tokens where texts begin with no special token, and a field named twice", () => {
    const bare = create({ specialTokens: false });
    expect(() => extendWithExperts(bare, { fields })).toThrow(expect.objectContaining({ code: "FIELD_TOKEN" }));
    expect(() => extendWithExperts(create(), { fields: ["[A]", "[A]"] })).toThrow(/different names/);
  });
});

test("a constant scores 2/3 on as many alike pairs as others", async () => {
  // One text: cosines of different texts with themselves differ by rounding.
  const pairs = texts.map((_, i) => ({ first: texts[0], second: texts[0], label: i % 2 }));
  const scores = await binaryPairEvaluator(pairs).evaluate(create());
  expect(scores.f1Max).toBeCloseTo(2 / 3, 12);
});

test("pairs that are cited together are counted once for each that cites both", () => {
  const graph = { x: ["b", "a", "a"], y: ["a", "b", "c"], c: ["c", "a"], big: ["a", "b", "c", "d"] };
  expect(cocitationPairs(graph, { maxCited: 3, minShared: 2 })).toEqual([{ first: "a", second: "b", shared: 2 }]);
  expect(cocitationPairs(new Map(Object.entries(graph)))[0]).toEqual({ first: "a", second: "b", shared: 3 });
  expect(cocitationPairs(graph, { within: new Set(["x", "a", "b"]) })).toEqual([
    { first: "a", second: "b", shared: 1 },
  ]);
});
