import { memory, type Tensor, tensor } from "@cloze/tensor";
import fc from "fast-check";
import { expect, test } from "vitest";
import { packSequences } from "../data/packed-batch.js";
import { type EncoderConfigInput, uniformEncoder } from "../encoder/config.js";
import { createModel, type HeadFields } from "../families/index.js";
import { compile } from "./compile.js";

const small = uniformEncoder({
  vocabularySize: 60,
  hiddenSize: 32,
  layers: 2,
  heads: 4,
  maxPositions: 40,
  initializerRange: 0.3,
});
const configs: Record<string, EncoderConfigInput> = {
  "post-norm": small,
  "pre-norm, no segments": { ...small, normPosition: "pre", segmentVocabularySize: 0 },
  "gated positions, no norm": {
    ...small,
    normPosition: "pre",
    segmentVocabularySize: 0,
    embeddings: { positions: "gated", norm: false },
  },
  "narrow embeddings, positions that begin later, norms without bias": {
    ...small,
    normBias: false,
    embeddings: { size: 12, positionOffset: 2, paddingPosition: true },
  },
  "shared layers of unequal width, causal, in a window": {
    ...small,
    layers: [
      { mixer: { type: "attention", heads: 3, headSize: 5, causal: true }, channel: { type: "none" } },
      { mixer: { type: "attention", heads: 2, window: 3 }, channel: { type: "mlp", intermediateSize: 7, bias: false } },
      {
        mixer: { type: "attention", heads: 2, window: 3 },
        channel: { type: "mlp", intermediateSize: 7, bias: false },
        sharedWith: 1,
      },
    ],
  },
  "rotary positions, gated channels, local and global layers": {
    ...small,
    normPosition: "pre",
    normBias: false,
    segmentVocabularySize: 0,
    embeddings: { positions: "none" },
    layers: [0, 4].map((window) => ({
      mixer: { type: "attention", heads: 4, window, bias: false, rotary: { theta: 100, interleaved: window > 0 } },
      channel: { type: "gated-mlp", intermediateSize: 20 },
      mixerNorm: window > 0,
    })),
  },
  "no layers": { ...small, layers: [] },
};
const batch = packSequences([
  { ids: [1, 2, 3, 4, 5, 6, 7], segments: [0, 0, 0, 0, 0, 0, 0] },
  { ids: [8] },
  { ids: Array.from({ length: 40 }, (_, i) => i + 9) },
]);
const worst = (a: Float32Array, b: Float32Array): number =>
  a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i])), a.length === b.length ? 0 : Number.NaN);

for (const [name, config] of Object.entries(configs)) {
  test(`a plan gives what the engine gives: ${name}`, async () => {
    const model = createModel({ architecture: "ForSequenceClassification", config, labels: 3 });
    for (const outputs of ["hidden", "pooled", "logits"] as const) {
      const compiled = compile(model, { outputs });
      expect(compiled).toMatchObject({ planned: true, per: outputs === "hidden" ? "token" : "sequence" });
      const { hidden, logits } = model.forward(batch);
      const expected = outputs === "hidden" ? hidden : outputs === "logits" ? logits : undefined;
      const got = await compiled.run(batch);
      expect(got).toHaveLength((outputs === "hidden" ? batch.ids.length : 3) * compiled.width);
      if (expected !== undefined) expect(worst(got, expected.toTypedArray() as Float32Array)).toBeLessThan(2e-5);
      expect(compiled.runSync(batch)).toEqual(got);
      compiled.close();
    }
    model.dispose();
  });
}

const heads: Readonly<Record<string, HeadFields & { architecture: string }>> = {
  "a pooler": { architecture: "Model" },
  "predicted tokens": { architecture: "ForMaskedLM" },
  "the order of two texts": { architecture: "ForNextSentencePrediction" },
  "replaced tokens": { architecture: "ForReplacedTokenDetection" },
  "classes of tokens": { architecture: "ForTokenClassification", labels: 3 },
  "a conditional random field": { architecture: "ForTokenClassification", labels: 3, crf: true },
  answers: { architecture: "ForQuestionAnswering" },
  choices: { architecture: "ForMultipleChoice" },
};
for (const [name, fields] of Object.entries(heads)) {
  test(`the output of a plan becomes what the head gives: ${name}`, () => {
    const model = createModel({ ...fields, config: { ...small, initializerRange: 0.2 } });
    const compiled = compile(model, { outputs: "logits" });
    expect(compiled.planned).toBe(true);
    const values = compiled.runSync(batch);
    const output = model.head.fromPlan(tensor(values, [values.length / compiled.width, compiled.width]));
    const expected = model.forward(batch);
    expect(Object.keys(output).length).toBeGreaterThan(0);
    for (const [key, value] of Object.entries(output) as [string, Tensor][]) {
      const wanted = expected[key as keyof typeof output] as Tensor;
      expect(value.shape).toEqual(wanted.shape);
      expect(worst(value.toTypedArray() as Float32Array, wanted.toTypedArray() as Float32Array)).toBeLessThan(2e-5);
    }
    compiled.close();
    model.dispose();
  });
}

test("sequences one by one, in any order and company, give the same", async () => {
  const model = createModel({ architecture: "Model", config: small });
  const compiled = compile(model, { outputs: "pooled" });
  const ids = fc.array(fc.integer({ min: 0, max: 59 }), { minLength: 1, maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(fc.array(ids, { minLength: 1, maxLength: 6 }), async (sequences) => {
      const together = await compiled.run(packSequences(sequences.map((each) => ({ ids: each }))));
      for (const [s, each] of sequences.entries()) {
        const alone = await compiled.run(packSequences([{ ids: each }]));
        expect(worst(alone, together.subarray(32 * s, 32 * (s + 1)))).toBeLessThan(1e-5);
      }
    }),
    { numRuns: 25 },
  );
  compiled.close();
  model.dispose();
});

test("8 bits stay close to 32", async () => {
  const model = createModel({ architecture: "Model", config: { ...small, initializerRange: 0.05 } });
  const [exact, coded] = (["float32", "int8"] as const).map((weights) =>
    compile(model, { weights, outputs: "pooled" }),
  );
  const [a, b] = [await exact.run(batch), await coded.run(batch)];
  for (let s = 0; s < 3; s++) {
    const [x, y] = [a, b].map((all) => all.subarray(32 * s, 32 * (s + 1)));
    const dot = (u: Float32Array, v: Float32Array) => u.reduce((sum, value, i) => sum + value * v[i], 0);
    expect(dot(x, y) / Math.sqrt(dot(x, x) * dot(y, y))).toBeGreaterThan(0.999);
    expect(y).not.toEqual(x);
  }
  exact.close();
  coded.close();
  model.dispose();
});

test("a part without a plan runs through the engine, and says so; the model may be trained on", async () => {
  const model = createModel({
    architecture: "ForMaskedLM",
    config: { ...small, layers: [{ mixer: { type: "recurrent", cell: "gru" }, channel: { type: "none" } }] },
  });
  const compiled = compile(model, { outputs: "logits" });
  expect(compiled.planned).toBe(false);
  expect(compiled.reason).toContain("recurrent");
  expect(await compiled.run(batch)).toHaveLength(48 * 60);
  compiled.close();
  model.dispose();
});

test("bad batches are refused by code; a closed plan says so and has given everything back", async () => {
  const before = memory.stats().liveBytes;
  const model = createModel({ architecture: "Model", config: small });
  const compiled = compile(model, { outputs: "pooled" });
  const refused = (change: object, code: string) =>
    expect(compiled.run({ ...batch, ...change })).rejects.toMatchObject({ code });
  await refused({ ids: batch.ids.map((id) => id + 60) }, "TOKEN_OUT_OF_RANGE");
  await refused({ positions: batch.positions.map((place) => place + 40) }, "SEQUENCE_TOO_LONG");
  await refused({ segments: batch.segments.map(() => 2) }, "SEGMENT_OUT_OF_RANGE");
  await refused({ offsets: Int32Array.of(0, 9, 8, 48) }, "BATCH_SHAPE");
  await refused({ offsets: Int32Array.of(0, 8, 48, 49) }, "BATCH_SHAPE");
  await refused({ offsets: Int32Array.of(0, 8, 8, 48) }, "EMPTY_SEQUENCE");
  expect(await compiled.run(packSequences([]))).toHaveLength(0);
  compiled.close();
  compiled.close();
  await expect(compiled.run(batch)).rejects.toMatchObject({ code: "PLAN_CLOSED" });
  model.dispose();
  expect(memory.stats().liveBytes).toBe(before);
});
