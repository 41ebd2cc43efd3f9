import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { scope, tensor } from "@cloze/tensor";
import { afterAll, describe, expect, test } from "vitest";
import { readOnnx } from "../../../test/onnx-file.js";
import { interpreter } from "../../../test/onnx-interpreter.js";
import { type PatchLayout, packImages } from "../../data/image-batch.js";
import { packSequences, type Sequence } from "../../data/packed-batch.js";
import { type EncoderConfigInput, uniformEncoder } from "../../encoder/config.js";
import { createModel, loadModel, type Model, saveModel } from "../../families/index.js";
import type { HeadConfigInput } from "../../heads/index.js";
import { trainWordPiece } from "../../text/index.js";
import { checkOnnx, findOnnxRuntime, type OnnxRuntime } from "./check.js";
import { type ExportOnnxOptions, exportOnnx } from "./export.js";
import { plainNumbers, rowCodes, transposedNumbers } from "./initializer.js";

const folder = mkdtempSync(join(tmpdir(), "cloze-onnx-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let folders = 0;
const fresh = (): string => join(folder, String(++folders));

const peers = join(import.meta.dirname, "../../../../../.peers/node");
const installed = existsSync(join(peers, "node_modules/onnxruntime-node")) ? findOnnxRuntime(peers) : undefined;
const runtimes: readonly (readonly [string, OnnxRuntime | undefined])[] = [
  ["the interpreter", interpreter],
  ["onnxruntime-node", installed],
];

const small = uniformEncoder({
  vocabularySize: 50,
  hiddenSize: 16,
  layers: 2,
  heads: 4,
  intermediateSize: 24,
  maxPositions: 20,
  initializerRange: 0.3,
});
const sequences: readonly Sequence[] = [
  { ids: [7, 2, 3, 9, 30], segments: [0, 0, 0, 1, 1] },
  { ids: [8] },
  { ids: [12, 13, 14, 15, 16, 17, 18, 39, 38], segments: [0, 1, 0, 1, 0, 1, 0, 1, 0] },
];
/** Without segments. */
const plain = sequences.map(({ ids }) => ({ ids }));
const mlp = { type: "mlp", intermediateSize: 7 } as const;

const encoders: Readonly<Record<string, EncoderConfigInput>> = {
  "as BERT": small,
  "pre-norm, tanh, no segments": {
    ...small,
    normPosition: "pre",
    segmentVocabularySize: 0,
    layers: (["geluTanh", "silu", "relu", "tanh", "none", "quickGelu"] as const).map((activation, i) => ({
      mixer: { type: "attention", heads: 2, ...(i === 1 ? { scoreScale: 0.25 } : {}) },
      channel: { ...mlp, activation },
    })),
  },
  "positions that begin later, padding before them, narrow tables, no biases in norms": {
    ...small,
    normBias: false,
    padId: 1,
    embeddings: { size: 12, positionOffset: 2, paddingPosition: true },
  },
  "a projection before the norm, a scale for words, a vector of tasks": {
    ...small,
    embeddings: { size: 12, projection: "before-norm", wordScale: 3, taskVocabularySize: 2, positionOffset: 1 },
  },
  "gated positions, no norm": { ...small, normPosition: "pre", embeddings: { positions: "gated", norm: false } },
  "unequal layers after pruning, causal, windows, a shared layer": {
    ...small,
    layers: [
      { mixer: { type: "attention", heads: 3, headSize: 5, causal: true }, channel: { type: "none" } },
      { mixer: { type: "none" }, channel: { ...mlp, intermediateSize: 1 }, residual: false },
      { mixer: { type: "attention", heads: 2, window: 2 }, channel: { ...mlp, bias: false } },
      { mixer: { type: "attention", heads: 2, window: 2 }, channel: { ...mlp, bias: false }, sharedWith: 2 },
      { mixer: { type: "attention", heads: 1, causal: true, window: 3 }, channel: mlp },
    ],
  },
  "rotary positions, gated channels, norms by root mean square": {
    ...small,
    norm: "rms",
    normPosition: "pre",
    embeddings: { positions: "none" },
    layers: [false, true].map((interleaved) => ({
      mixer: { type: "attention", heads: 2, bias: false, rotary: { theta: 50, interleaved, values: interleaved } },
      channel: { type: "gated-mlp", intermediateSize: 10 },
      mixerNorm: interleaved,
    })),
  },
  "disentangled attention, layers that count distances in other ways": {
    ...small,
    embeddings: { positions: "none" },
    layers: [
      { maxDistance: 7, normalizeDistances: true },
      { maxDistance: 20, normalizeDistances: true },
      { maxDistance: 20, normalizeDistances: false },
      { maxDistance: 4, buckets: 0, normalizeDistances: false },
    ].map((options) => ({
      mixer: { type: "disentangled-attention", heads: 2, buckets: 4, ...options },
      channel: mlp,
    })),
  },
  "no layers": { ...small, layers: [] },
};
const heads: Readonly<Record<string, HeadConfigInput>> = {
  none: { type: "none" },
  pooler: { type: "pooler", pooler: { activation: "gelu", size: 5, norm: true } },
  "sequence classification by the first token": { type: "sequence-classification", labels: 3 },
  "sequence classification by the last token": { type: "sequence-classification", pooling: "last", pooler: null },
  "sequence classification by the mean": { type: "sequence-classification", pooling: "mean", bias: false },
  "sequence classification by the maximum": { type: "sequence-classification", pooling: "max", pooler: null },
  "token classification": { type: "token-classification", labels: 4, transform: { activation: "relu" } },
  "question answering": { type: "question-answering", feedForward: { intermediateSize: 6 } },
  "masked language, tied": { type: "masked-language" },
  "masked language, untied": { type: "masked-language", tied: false, transform: null, decoderBias: false },
  "multiple choice": { type: "multiple-choice" },
};

const modelOf = (config: EncoderConfigInput, head: HeadConfigInput = { type: "none" }): Model =>
  createModel({ architecture: "Model", config, head, seed: 3 });

/** Three images. */
const pixelsFor = ({ channels, imageSize }: PatchLayout): Float32Array =>
  Float32Array.from({ length: 3 * channels * imageSize[0] * imageSize[1] }, (_, i) => Math.sin(i));
const images: Readonly<Record<string, EncoderConfigInput["embeddings"]>> = {
  "that patches do not fill": { type: "patches", imageSize: [10, 13], patchSize: [3, 4], channels: 2 },
  "without a token for all, nor positions": {
    type: "patches",
    imageSize: [6, 8],
    patchSize: [3, 4],
    classToken: false,
    positions: "none",
  },
};

async function check(model: Model, options: ExportOnnxOptions, runtime: OnnxRuntime) {
  const written = exportOnnx(model, fresh(), options);
  const { embeddings, segmentVocabularySize } = model.config;
  const given =
    embeddings.type === "patches"
      ? packImages(pixelsFor(embeddings), embeddings)
      : packSequences(segmentVocabularySize > 1 ? sequences : plain);
  const result = await checkOnnx(model, written, given, options, runtime);
  model.dispose();
  return { ...result, ...written };
}

describe.each(runtimes)("%s computes what Cloze does", (_, runtime) => {
  // Absent peers are named in the report instead of being silent.
  const when = test.skipIf(runtime === undefined);
  const run = runtime as OnnxRuntime;
  const close = 1e-5;

  when.each(Object.keys(encoders))("hidden states: %s", async (key) => {
    const { largestDifference, scale, inputs, outputs } = await check(modelOf(encoders[key]), {}, run);
    expect(scale).toBeGreaterThan(0.5);
    expect(largestDifference / scale).toBeLessThan(close);
    expect(inputs).toEqual([
      "input_ids",
      "attention_mask",
      ...(encoders[key].segmentVocabularySize === 0 ? [] : ["token_type_ids"]),
    ]);
    expect(outputs).toEqual(["last_hidden_state"]);
  });
  when.each(Object.keys(heads))("head: %s", async (key) => {
    const { largestDifference, scale } = await check(modelOf(small, heads[key]), { output: "logits" }, run);
    expect(scale).toBeGreaterThan(0.01);
    expect(largestDifference / scale).toBeLessThan(close);
  });
  when.each(["mean", "first"] as const)("pooled: %s", async (pooling) => {
    const { largestDifference, outputs } = await check(modelOf(small), { output: "pooled", pooling }, run);
    expect(outputs).toEqual(["sentence_embedding"]);
    expect(largestDifference).toBeLessThan(close);
  });
  when.each(Object.keys(images))("images %s", async (key) => {
    for (const causal of [false, true]) {
      const layers = [{ mixer: { type: "attention", heads: 4, causal } as const, channel: mlp }];
      const config: EncoderConfigInput = { ...small, segmentVocabularySize: 0, layers, embeddings: images[key] };
      for (const pooling of ["first", "last", "mean", "max"] as const) {
        const head = { type: "sequence-classification", pooling, pooler: null } as const;
        const { largestDifference, scale, inputs } = await check(modelOf(config, head), { output: "logits" }, run);
        expect(largestDifference / scale, pooling).toBeLessThan(close);
        expect(inputs).toEqual(["pixel_values"]);
      }
      const { cosine } = await check(modelOf(config), { quantize: "int8" }, run);
      expect(cosine).toBeGreaterThan(0.99);
    }
  });
  when.each([18, 20, 21])("opset %i", async (opset) => {
    for (const config of [
      small,
      encoders["pre-norm, tanh, no segments"],
      encoders["rotary positions, gated channels, norms by root mean square"],
    ]) {
      const { largestDifference, scale, path } = await check(
        modelOf(config, heads["sequence classification by the maximum"]),
        { opset, output: "logits" },
        run,
      );
      expect(readOnnx(path).opset).toBe(opset);
      expect(largestDifference / scale).toBeLessThan(close);
    }
  });
  when.each(["as BERT", "unequal layers after pruning, causal, windows, a shared layer"])("8 bits: %s", async (key) => {
    const { cosine, largestDifference } = await check(modelOf(encoders[key]), { quantize: "int8" }, run);
    expect(cosine).toBeGreaterThan(0.999);
    expect(largestDifference).toBeGreaterThan(0);
  });
  when("8 bits: a decoder that shares the table of words", async () => {
    const model = modelOf(small, heads["masked language, tied"]);
    const { cosine, path } = await check(model, { quantize: "int8", output: "logits" }, run);
    expect(cosine).toBeGreaterThan(0.995);
    const table = [...readOnnx(path).constants].filter(([, { shape }]) => shape.includes(50) && shape.includes(16));
    expect(table.map(([constant]) => constant)).toEqual(["encoder.embeddings.word.weight.codes"]);
  });
  when("weights in a file beside", async () => {
    const { largestDifference, path, dataPath, bytes } = await check(modelOf(small), { largestBytes: 10_000 }, run);
    expect(dataPath).toBe(`${path}_data`);
    expect(statSync(path).size + statSync(`${path}_data`).size).toBe(bytes);
    expect([...readOnnx(path).constants.values()].some(({ outside }) => outside)).toBe(true);
    expect(largestDifference).toBeLessThan(close);
  });
  when.each([
    "bert",
    "roberta",
    "distilbert",
    "albert",
    "electra",
    "ernie",
    "roformer",
    "modernbert",
    "gpt2",
    "mpnet",
    "vit",
    "deberta",
    "deberta-v2",
  ])("%s as its family loads it", async (family) => {
    const kind = family === "bert" ? "models" : "families";
    const model = loadModel(join(import.meta.dirname, `../../../test/fixtures/${kind}`, family, "Model"));
    const { largestDifference, scale, inputs } = await check(model, {}, run);
    expect(largestDifference / scale).toBeLessThan(close);
    expect(inputs.includes("token_type_ids")).toBe(model.config.segmentVocabularySize > 1);
  });
});

describe("the file", () => {
  test("shared layers have their weights once", () => {
    const layers = small.layers.map((layer, i) => (i === 0 ? layer : { ...layer, sharedWith: 0 }));
    const [shared, own] = [{ ...small, layers }, small].map((config) => {
      const model = modelOf(config);
      const { path } = exportOnnx(model, fresh());
      model.dispose();
      return readOnnx(path);
    });
    const matrices = ({ constants }: typeof own) => [...constants.keys()].filter((name) => name.endsWith(".matrix"));
    expect(matrices(shared)).toHaveLength(4);
    expect(matrices(own)).toHaveLength(8);
    expect(shared.nodes.length).toBe(own.nodes.length);
  });
  test("codes of matrices stay within 7 bits, of tables within 8", () => {
    const model = modelOf(small);
    const { constants } = readOnnx(exportOnnx(model, fresh(), { quantize: "int8" }).path);
    model.dispose();
    const largest = (suffix: string) =>
      Math.max(
        ...[...constants].filter(([name]) => name.endsWith(suffix)).flatMap(([, { data }]) => [...data.map(Math.abs)]),
      );
    expect([largest(".matrix"), largest(".codes")]).toEqual([64, 127]);
  });
  test("names its inputs and outputs as transformers' exporters do", () => {
    const model = modelOf(small, { type: "pooler" });
    const { path } = exportOnnx(model, fresh(), { output: "logits" });
    model.dispose();
    const { version, opset, inputs, outputs } = readOnnx(path);
    expect([version, opset]).toEqual([8, 17]);
    const shape = ["batch_size", "sequence_length"];
    expect(inputs).toEqual(["input_ids", "attention_mask", "token_type_ids"].map((name) => ({ name, type: 7, shape })));
    expect(outputs).toEqual([
      { name: "last_hidden_state", type: 1, shape: [...shape, 16] },
      { name: "pooler_output", type: 1, shape: ["batch_size", 16] },
    ]);
  });
  test("config.json says which files have their weights beside", () => {
    const model = modelOf(small);
    const place = fresh();
    const configOf = () => JSON.parse(readFileSync(join(place, "config.json"), "utf8"));
    exportOnnx(model, place, { largestBytes: 1000 });
    exportOnnx(model, place, { quantize: "int8" });
    expect(configOf()["transformers.js_config"]).toEqual({ use_external_data_format: { "model.onnx": 1 } });
    exportOnnx(model, place);
    expect(configOf()["transformers.js_config"]).toBeUndefined();
    expect(existsSync(join(place, "onnx/model.onnx_data"))).toBe(false);
    model.dispose();
  });
});

test("matrices larger than a piece are written whole, and turned", () => {
  const [rows, columns] = [1100, 1300];
  const numbers = Float32Array.from({ length: rows * columns }, (_, i) => ((i * 7919) % 1000) - 500);
  scope(() => {
    const matrix = tensor(numbers, [rows, columns]);
    const joined = (pieces: Iterable<ArrayLike<number>>) => {
      const all = [...pieces];
      expect(all.length).toBeGreaterThan(1);
      const whole = new Float32Array(all.reduce((sum, { length }) => sum + length, 0));
      all.reduce((at, piece) => {
        whole.set(piece, at);
        return at + piece.length;
      }, 0);
      return whole;
    };
    const farthest = (a: Float32Array, b: Float32Array, scale = 1) =>
      a.reduce((most, x, i) => Math.max(most, Math.abs(scale * x - b[i])), a.length === b.length ? 0 : Infinity);
    const turned = numbers.map((_, i) => numbers[(i % rows) * columns + Math.floor(i / rows)]);
    expect(farthest(joined(plainNumbers(matrix)), numbers)).toBe(0);
    expect(farthest(joined(transposedNumbers(matrix)), turned)).toBe(0);
    // Every row reaches 499 or 500, so that a step is about 8.
    expect(farthest(joined(rowCodes(matrix, 64, "transposed")), turned, 500 / 64)).toBeLessThan(6);
    expect(farthest(joined(rowCodes(matrix, 64, "rows")), numbers, 500 / 64)).toBeLessThan(6);
  });
});

describe("what is not exported is said", () => {
  const layer = (mixer: object) => ({ ...small, layers: [{ ...small.layers[0], mixer }] }) as EncoderConfigInput;
  const lora = { type: "lora", rank: 1, alpha: 1, base: { type: "dense" } };
  test.each([
    ["a mixer", layer({ type: "fourier" }), undefined, /"fourier"/],
    ["weights", layer({ type: "attention", heads: 2, weights: { output: lora } }), undefined, /"lora".*mixer\.output/],
    ["a head", small, { type: "next-sentence" }, /"next-sentence"/],
    ["a field of labels", small, { type: "token-classification", crf: true }, /conditional random fields/],
  ] as const)("%s", (_, config, head, message) => {
    const model = modelOf(config, head);
    const place = fresh();
    const write = () => exportOnnx(model, place, { output: head === undefined ? "hidden" : "logits" });
    expect(write).toThrow(
      expect.objectContaining({ code: "ONNX_UNSUPPORTED", message: expect.stringMatching(message) }),
    );
    expect(existsSync(place)).toBe(false);
    model.dispose();
  });
  test.each([16, 22, 17.5])("opset %d", (opset) => {
    const model = modelOf(small);
    expect(() => exportOnnx(model, fresh(), { opset })).toThrow(expect.objectContaining({ code: "OPTION_INVALID" }));
    model.dispose();
  });
});

const transformers = join(peers, "node_modules/@huggingface/transformers");
test.skipIf(!existsSync(transformers))("transformers.js runs the folder", async () => {
  const place = fresh();
  const tokenizer = trainWordPiece(["a small text", "another text, not so small"], {
    vocabularySize: 60,
    minFrequency: 1,
  });
  const model = modelOf({ ...small, vocabularySize: tokenizer.vocabularySize });
  exportOnnx(model, place);
  exportOnnx(model, place, { quantize: "int8" });
  tokenizer.save(place);
  const { main, exports } = JSON.parse(readFileSync(join(transformers, "package.json"), "utf8"));
  const entry = exports?.node?.import?.default ?? main;
  const { pipeline, env } = await import(pathToFileURL(join(transformers, entry)).href);
  env.allowRemoteModels = false;
  env.localModelPath = `${folder}/`;
  const texts = ["a small text", "another"];
  const { hidden } = model.forward(packSequences(texts.map((text) => ({ ids: tokenizer.encodeIds(text) }))));
  const first = Array.from({ length: 16 }, (_, i) => hidden.toTypedArray()[i] as number);
  for (const [dtype, difference] of [
    ["fp32", 1e-4],
    ["q8", 0.2],
  ] as const) {
    const extract = await pipeline("feature-extraction", place.slice(folder.length + 1), { dtype, device: "cpu" });
    const output = await extract(texts, { pooling: "cls" });
    expect(output.dims).toEqual([2, 16]);
    first.forEach((value, i) => {
      expect(Math.abs(output.data[i] - value)).toBeLessThan(difference);
    });
    await extract.dispose();
  }
  hidden.dispose();
  model.dispose();
});
test("saved models export the same", () => {
  const place = fresh();
  const model = modelOf(small, heads["sequence classification by the mean"]);
  saveModel(model, place);
  const again = loadModel(place);
  const bytes = [model, again].map((each) => readFileSync(exportOnnx(each, fresh(), { output: "logits" }).path));
  expect(bytes[0].equals(bytes[1])).toBe(true);
  model.dispose();
  again.dispose();
});
