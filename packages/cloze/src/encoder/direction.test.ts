import { noGrad, scope } from "@cloze/tensor";
import { expect, test } from "vitest";
import { memoryStore } from "../data/memory-store.js";
import { type PackedBatch, packSequences } from "../data/packed-batch.js";
import { createModel, familyOf } from "../families/index.js";
import { compile } from "../inference/compile.js";
import { madeVocabulary } from "../recipes/index.js";
import { pretrain } from "../training/pretrain.js";
import { uniformEncoder } from "./config.js";
import { type Direction, withDirection } from "./direction.js";
import { createEncoder } from "./encoder.js";

const plain = uniformEncoder({
  vocabularySize: 30,
  hiddenSize: 16,
  layers: 2,
  heads: 2,
  maxPositions: 12,
  initializerRange: 0.3,
});
const ids = [5, 9, 13, 7, 21, 8];
const [short, long] = [[4, 6, 11], ids];
const batch = packSequences([{ ids: long }, { ids: short }]);
const states = (direction: Direction, input: PackedBatch & { prefixes?: Int32Array }): Float32Array => {
  const encoder = createEncoder(withDirection(plain, direction), { seed: 2 });
  const hidden = scope(() => noGrad(() => encoder.forward(input).hidden.toTypedArray() as Float32Array));
  encoder.dispose();
  return hidden;
};
/** Tokens whose state another id at a place changes. */
const changedBy = (direction: Direction, place: number, more: object = {}): number[] => {
  const other = batch.ids.slice();
  other[place] = 25;
  const [a, b] = [states(direction, { ...batch, ...more }), states(direction, { ...batch, ids: other, ...more })];
  return Array.from(batch.ids.keys()).filter((row) =>
    a.subarray(16 * row, 16 * row + 16).some((x, i) => x !== b[16 * row + i]),
  );
};
const close = (a: Float32Array, b: Float32Array): void => {
  for (const [i, x] of a.entries()) expect(x).toBeCloseTo(b[i], 5);
};

test("causal: a token changes nothing before it; bidirectional: all of its sequence", () => {
  expect(changedBy("causal", 3)).toEqual([3, 4, 5]);
  expect(changedBy("bidirectional", 3)).toEqual([0, 1, 2, 3, 4, 5]);
});

test("prefix: tokens of the prefix are seen by all, the others by what follows", () => {
  const prefixes = Int32Array.of(2, 1);
  expect(changedBy("prefix", 1, { prefixes })).toEqual([0, 1, 2, 3, 4, 5]);
  expect(changedBy("prefix", 3, { prefixes })).toEqual([3, 4, 5]);
  close(states("prefix", { ...batch, prefixes: Int32Array.of(0, 0) }), states("causal", batch));
  close(states("prefix", { ...batch, prefixes: Int32Array.of(6, 3) }), states("bidirectional", batch));
  close(states("prefix", batch), states("causal", batch));
});

test("a plan runs what it knows, and leaves prefixes to the engine", () => {
  const model = createModel({
    architecture: "Model",
    head: { type: "none" },
    config: withDirection(plain, "prefix"),
    seed: 2,
  });
  const compiled = compile(model);
  for (const input of [batch, { ...batch, prefixes: Int32Array.of(2, 1) }]) {
    const wanted = scope(() => noGrad(() => model.forward(input).hidden.toTypedArray() as Float32Array));
    close(compiled.runSync(input), wanted);
  }
  model.dispose();
});

test("a configuration may say it in one word", () => {
  const [layer] = plain.layers;
  const one = { ...plain, layers: [{ ...layer, mixer: { ...layer.mixer, direction: "causal" as const } }] };
  const two = { ...plain, layers: [{ ...layer, mixer: { ...layer.mixer, causal: true } }] };
  const [a, b] = [one, two].map((config) => {
    const encoder = createEncoder(config as typeof plain, { seed: 1 });
    return scope(() => noGrad(() => encoder.forward(batch).hidden.toTypedArray() as Float32Array));
  });
  expect(a).toEqual(b);
  const fnet = familyOf("fnet").readConfig({
    vocab_size: 30,
    hidden_size: 16,
    num_hidden_layers: 1,
    intermediate_size: 16,
    pad_token_id: 0,
  });
  expect(() => withDirection(fnet.encoder, "causal")).toThrow(expect.objectContaining({ code: "CONFIG_UNSUPPORTED" }));
});

test("one-way models learn the next token; two-way ones are refused", async () => {
  const vocabulary = madeVocabulary(25);
  const corpus = memoryStore(
    Array.from({ length: 60 }, (_, i) => [5 + (i % 5), 10 + (i % 5), 15 + (i % 5), 20 + (i % 5)]),
  );
  const options = { objective: { type: "clm" }, steps: 300, learningRate: 1e-2, batchTokens: 120 };
  const create = (direction: Direction) =>
    createModel({ architecture: "LMHeadModel", config: withDirection(plain, direction), seed: 1 });
  const model = create("causal");
  const { loss } = await pretrain(model, vocabulary, corpus, options);
  // Of five steps only the first is open: ln 5 / 5.
  expect(loss).toBeLessThan(0.8);
  await expect(pretrain(create("bidirectional"), vocabulary, corpus, options)).rejects.toMatchObject({
    code: "OBJECTIVE_COMBINATION",
  });
});
