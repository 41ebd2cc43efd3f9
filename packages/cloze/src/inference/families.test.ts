// Every model type and every way of storing a matrix: plans give what the engine gives, or say why there is none.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { concat, noGrad, reshape, scope } from "@cloze/tensor";
import { expect, test } from "vitest";
import { type ImageBatch, packImages, patchGrid } from "../data/image-batch.js";
import { type PackedBatch, packSequences } from "../data/packed-batch.js";
import { type EncoderConfig, type EncoderConfigInput, uniformEncoder } from "../encoder/config.js";
import { createModel, loadModel, type Model } from "../families/index.js";
import { poolTokens } from "../heads/head.js";
import { type CompileOptions, compile } from "./compile.js";
import { closeness } from "./measure-plans.js";

const fixtures = fileURLToPath(new URL("../../test/fixtures/families/", import.meta.url));
const folders = (path: string): string[] =>
  readdirSync(path, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []));

/** Three images, some of whose patches are hidden where the model knows that. */
function imagesFor(layout: Extract<EncoderConfig["embeddings"], { type: "patches" }>): ImageBatch {
  const { imageSize, channels, maskToken } = layout;
  const [rows, columns] = patchGrid(layout);
  const pixels = Float32Array.from({ length: 3 * channels * imageSize[0] * imageSize[1] }, (_, i) => Math.sin(i));
  const masked = Uint8Array.from({ length: 3 * rows * columns }, (_, patch) => Number(patch % 3 === 1));
  return packImages(pixels, layout, maskToken ? masked : undefined);
}

/** Sequences of one token, of a few, and of nearly as many as the model has positions. */
function batchFor(config: EncoderConfig): PackedBatch {
  if (config.embeddings.type === "patches") return imagesFor(config.embeddings);
  const { vocabularySize, maxPositions, segmentVocabularySize } = config;
  // BigBird's blocks are for longer sequences; there it is the engine that knows them.
  const mixer = config.layers[0]?.mixer;
  const blocked =
    mixer?.type === "block-sparse-attention"
      ? (5 + 2 * mixer.randomBlocks) * mixer.blockSize
      : Number.POSITIVE_INFINITY;
  // Landmarks too.
  const exact = mixer?.type === "nystrom" ? (mixer.landmarks ?? maxPositions) : maxPositions;
  const longest = Math.min(maxPositions, blocked, exact + 2);
  const sequence = (length: number, shift: number) => ({
    // No padding: model types differ in where it stands.
    ids: Array.from({ length }, (_, i) => 5 + ((7 * i + shift) % (vocabularySize - 5))),
    segments: Array.from({ length }, (_, i) => (i > 3 ? Math.max(0, segmentVocabularySize - 1) : 0)),
  });
  return packSequences([sequence(1, 3), sequence(Math.min(6, exact), 1), sequence(longest - 2, 2), sequence(2, 0)]);
}

/** What the engine gives. */
const throughEngine = (model: Model, batch: PackedBatch, outputs: CompileOptions["outputs"]): Float32Array =>
  scope(() =>
    noGrad(() => {
      if (outputs === "logits") {
        const { logits, pooled, startLogits, endLogits } = model.forward(batch);
        const spans = [startLogits, endLogits].flatMap((each) => (each ? [reshape(each, [each.size, 1])] : []));
        const value = spans.length === 2 ? concat(spans, 1) : (logits ?? pooled);
        return value?.toTypedArray() as Float32Array;
      }
      const { hidden } = model.encoder.forward(batch);
      return (outputs === "hidden" ? hidden : poolTokens(hidden, batch, "mean")).toTypedArray() as Float32Array;
    }),
  );

/** Holds a plan against the engine; true where the plan ran. */
async function planEqualsEngine(model: Model, outputs: "hidden" | "pooled" | "logits"): Promise<boolean> {
  const batch = batchFor(model.config);
  const compiled = compile(model, { outputs });
  const expected = throughEngine(model, batch, outputs);
  const got = await compiled.run(batch);
  const scale = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
  const worst = got.reduce((most, value, i) => Math.max(most, Math.abs(value - expected[i])), 0);
  expect(got, compiled.reason).toHaveLength(expected.length);
  expect(worst / scale, outputs).toBeLessThan(2e-5);
  const taken = compiled.takes(batch);
  compiled.close();
  return taken;
}

test.each(folders(fixtures))("%s", async (modelType) => {
  for (const architecture of folders(join(fixtures, modelType))) {
    const model = loadModel(join(fixtures, modelType, architecture));
    expect(await planEqualsEngine(model, "hidden")).toBe(true);
    expect(await planEqualsEngine(model, "pooled")).toBe(true);
    // Global tokens have matrices of their own in Longformer.
    const global = modelType === "longformer" && model.head.globalTokens(batchFor(model.config))?.includes(1) === true;
    // Where the question ends is a matter of ids (BigBird).
    const masked = "maskQuestion" in model.head.config && model.head.config.maskQuestion;
    if (model.head.config.type !== "none") expect(await planEqualsEngine(model, "logits")).toBe(!global && !masked);
    model.dispose();
  }
});

const attention = { type: "attention", heads: 4 } as const;
const mlp = { type: "mlp", intermediateSize: 20 } as const;
const small = { vocabularySize: 60, hiddenSize: 32, maxPositions: 40, initializerRange: 0.3 };
const layers = (...all: EncoderConfigInput["layers"]): EncoderConfigInput => ({ ...small, layers: all });
const lowRank = { type: "low-rank", rank: 5 } as const;
const lora = { type: "lora", rank: 3, alpha: 6, blocks: 3, targets: [0, 2], base: { type: "dense" } } as const;
const configs: Record<string, EncoderConfigInput> = {
  "matrices of low rank": layers({
    mixer: { ...attention, weights: { queryKeyValue: lowRank, output: lowRank } },
    channel: { ...mlp, weights: { input: lowRank, output: lowRank } },
  }),
  "adapters beside matrices": layers({
    mixer: { ...attention, weights: { queryKeyValue: lora } },
    channel: { ...mlp, weights: { output: { ...lora, blocks: 1, targets: undefined } } },
  }),
  "a branch beside the others": layers({
    mixer: attention,
    channel: mlp,
    parallel: { ...attention, heads: 2, window: 2 },
  }),
  "a branch beside the others, norms first": {
    ...layers({ mixer: attention, channel: mlp, parallel: { ...attention, heads: 2, causal: true } }),
    normPosition: "pre",
  },
  "layers of unequal width, with gates, without residuals": layers(
    { mixer: { ...attention, heads: 3, headSize: 5 }, channel: { type: "gated-mlp", intermediateSize: 7 } },
    { mixer: { ...attention, heads: 1, headSize: 16 }, channel: { type: "none" }, residual: false },
    { mixer: { type: "none" }, channel: { ...mlp, intermediateSize: 3 } },
  ),
  "disentangled, from contents to places only": layers({
    mixer: { type: "disentangled-attention", heads: 4, maxDistance: 7, positionToContent: false },
    channel: mlp,
  }),
  "disentangled, from places to contents only, in buckets": layers({
    mixer: { type: "disentangled-attention", heads: 4, maxDistance: 30, buckets: 6, contentToPosition: false },
    channel: mlp,
  }),
  "Fourier transforms of an odd width, a prime": {
    ...layers({ mixer: { type: "fourier" }, channel: mlp }, { mixer: { type: "fourier" }, channel: mlp }),
    hiddenSize: 37,
  },
  "convolutions of an even reach, with a matrix behind them": layers({
    mixer: { type: "convolution", kernels: [2, 5], channels: 9, activation: "tanh" },
    channel: mlp,
  }),
  "convolutions beside attention, norms first": {
    ...layers({ mixer: attention, channel: mlp, parallel: { type: "convolution", kernels: [3] } }),
    normPosition: "pre",
  },
  "convolutions whose kernels follow from the text, matrices in groups": layers({
    mixer: { type: "convolution-attention", heads: 2, headSize: 5, kernelSize: 7 },
    channel: { ...mlp, weights: { input: { type: "grouped", groups: 4 }, output: { type: "grouped", groups: 2 } } },
  }),
  "exact attention beside long convolutions": layers({
    mixer: { type: "nystrom", heads: 4, landmarks: null, kernelSize: 65 },
    channel: mlp,
  }),
  "patches that may be hidden": {
    ...layers({ mixer: attention, channel: mlp }),
    embeddings: { type: "patches", imageSize: [10, 13], patchSize: [3, 4], channels: 2, maskToken: true },
  },
  "patches alone": {
    ...layers({ mixer: attention, channel: mlp }),
    embeddings: { type: "patches", imageSize: [9, 8], patchSize: [3, 4], classToken: false, positions: "none" },
  },
};

test.each(Object.entries(configs))("%s", async (_, config) => {
  const model = createModel({ architecture: "ForSequenceClassification", config, labels: 3 });
  for (const [name, value] of model.parameters) {
    // The second matrix of an adapter starts at 0.
    if (/lora.*b$/.test(name))
      value.storage.backend.write(new Float32Array(value.size).fill(0.1), value.pointer as number);
  }
  for (const outputs of ["hidden", "pooled", "logits"] as const)
    expect(await planEqualsEngine(model, outputs)).toBe(true);
  model.dispose();
});

const coded = [
  "Fourier transforms of an odd width, a prime",
  "convolutions of an even reach, with a matrix behind them",
  "convolutions beside attention, norms first",
  "convolutions whose kernels follow from the text, matrices in groups",
  "exact attention beside long convolutions",
];
test.each(coded)("%s: 8 bits are near the engine, and not the same", async (name) => {
  const model = createModel({ architecture: "Model", config: configs[name] });
  const batch = batchFor(model.config);
  const compiled = compile(model, { weights: "int8" });
  const [exact, got] = [throughEngine(model, batch, "hidden"), await compiled.run(batch)];
  expect(compiled.takes(batch)).toBe(true);
  const { leastCosine, cosine } = closeness(exact, got, compiled.width);
  expect(cosine).toBeGreaterThan(0.99);
  expect(leastCosine).toBeLessThan(1);
  compiled.close();
  model.dispose();
});

test("an encoder alone compiles too, and has no logits", async () => {
  const model = createModel({ architecture: "Model", config: uniformEncoder({ ...small, layers: 1, heads: 2 }) });
  const batch = batchFor(model.config);
  const [alone, whole] = [compile(model.encoder), compile(model, { threads: 1 })];
  expect(await alone.run(batch)).toEqual(await whole.run(batch));
  expect(() => compile(model.encoder, { outputs: "logits" })).toThrow(
    expect.objectContaining({ code: "HEAD_MISMATCH" }),
  );
  expect(() => compile(model, { threads: 0 })).toThrow(expect.objectContaining({ code: "OPTION_INVALID" }));
  for (const each of [alone, whole]) each.close();
  model.dispose();
});
