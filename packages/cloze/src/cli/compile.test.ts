import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { backend } from "@cloze/tensor";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { runCommand } from "../../test/run-command.js";
import { pruneByMagnitude } from "../compression/pruning/magnitude.js";
import { createEmbedder } from "../embedding/embedder.js";
import { loadEmbedder, saveEmbedder } from "../embedding/sentence-transformers.js";
import { uniformEncoder } from "../encoder/config.js";
import { createModel, loadModel, saveModel } from "../families/index.js";
import { compile } from "../inference/compile.js";
import { trainWordPiece } from "../text/index.js";
import { addCompile } from "./compile.js";

const folder = mkdtempSync(join(tmpdir(), "cloze-compile-command-"));
const [base, pruned, embedder] = ["base", "pruned", "embedder"].map((name) => join(folder, name));
beforeAll(() => {
  const tokenizer = trainWordPiece(["a text", "another text"], { vocabularySize: 60, minFrequency: 1 });
  const config = uniformEncoder({
    vocabularySize: tokenizer.vocabularySize,
    hiddenSize: 32,
    layers: 1,
    heads: 2,
    maxPositions: 16,
    initializerRange: 0.1,
  });
  const model = createModel({ architecture: "ForSequenceClassification", config, names: ["no", "yes"] });
  saveModel(model, base);
  tokenizer.save(base);
  writeFileSync(join(base, "task.json"), "{}");
  mkdirSync(join(base, "onnx"));
  writeFileSync(join(base, "onnx", "model.onnx"), "old");
  pruneByMagnitude(model, { sparsity: 0.9 });
  saveModel(model, pruned);
  tokenizer.save(pruned);
  model.dispose();
  const bare = createModel({ architecture: "Model", config });
  saveEmbedder(createEmbedder(bare, tokenizer, { pooling: "cls" }), embedder);
  bare.dispose();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(() => vi.restoreAllMocks());

interface Result {
  weights: string;
  planned: boolean;
  texts: number;
  accuracy: { cosine: number; leastCosine: number; labelAgreement?: number };
  float32: { fileBytes: number; planBytes: number };
  compiled: { fileBytes: number; planBytes: number };
  candidates: { weights: string }[];
}

const run = (model: string, out: string, ...args: string[]): Promise<Result> =>
  runCommand(addCompile, "compile", "--model", model, "--out", join(folder, out), "--seconds", "0", ...args);

test("8 bits: a smaller folder that opens, runs in 8 bits unasked, and says what it lost", async () => {
  const result = await run(base, "int8", "--weights", "int8");
  const out = join(folder, "int8");
  expect(result).toMatchObject({ weights: "int8", planned: true, texts: 16 });
  expect(result.accuracy.cosine).toBeGreaterThan(0.99);
  expect(result.accuracy.labelAgreement).toBeGreaterThan(0.9);
  expect(result.compiled.fileBytes).toBeLessThan(result.float32.fileBytes);
  // Where there are no products of 8 bits (AVX2), plans keep codes in two bytes; then vectors and padding leave more than half.
  const bytesOfCode = backend().kernels.packedInt8Bytes(64, 64) / 64 ** 2;
  expect(result.compiled.planBytes).toBeLessThan((bytesOfCode === 1 ? 0.5 : 0.6) * result.float32.planBytes);
  expect(statSync(join(out, "model.safetensors")).size).toBe(result.compiled.fileBytes);
  for (const name of ["tokenizer.json", "task.json"]) {
    expect(readFileSync(join(out, name)).equals(readFileSync(join(base, name)))).toBe(true);
  }
  expect(existsSync(join(out, "onnx"))).toBe(false);
  const model = loadModel(out);
  const compiled = compile(model);
  expect([compiled.weights, model.head.config]).toMatchObject(["int8", { names: ["no", "yes"] }]);
  compiled.close();
  model.dispose();
});

test("a range of activations from given texts; 4 bits; groups", async () => {
  const texts = join(folder, "texts.txt");
  writeFileSync(texts, "a text\nanother text\ntext a text\n");
  const fixed = await run(base, "static", "--weights", "int8", "--activations", "static", "--texts", texts);
  expect(fixed).toMatchObject({ activations: "static", texts: 3 });
  expect(fixed.accuracy.cosine).toBeGreaterThan(0.98);
  expect(readFileSync(join(folder, "static", "config.json"), "utf8")).toContain('"input"');
  const four = await run(base, "int4", "--weights", "int4", "--groups", "8");
  expect(four.compiled.fileBytes).toBeLessThan(fixed.compiled.fileBytes);
  const model = loadModel(join(folder, "int4"));
  expect(model.config.layers[0].channel).toMatchObject({
    weights: { input: { type: "quantized", bits: 4, groups: 8 } },
  });
  model.dispose();
});

test("auto tries what could be faster: blocks, too, where pruning left few", async () => {
  const dense = await run(base, "auto");
  expect(dense.candidates.map(({ weights }) => weights)).toEqual(["float32", "int8"]);
  const sparse = await run(pruned, "auto-pruned");
  expect(sparse.candidates.map(({ weights }) => weights)).toEqual(["float32", "int8", "sparse", "sparse-int8"]);
  for (const result of [dense, sparse]) expect(result.accuracy.cosine).toBeGreaterThan(0.99);
  const model = loadModel(join(folder, "auto-pruned"));
  const compiled = compile(model);
  expect(compiled.weights).toBe(sparse.weights);
  compiled.close();
  model.dispose();
});

test("an embedder stays one, with its pooling", async () => {
  await run(embedder, "small-embedder", "--weights", "int8");
  const [before, after] = [embedder, join(folder, "small-embedder")].map((path) => loadEmbedder(path));
  const [a, b] = [before, after].map((each) => Array.from(each.embed(["a text"]).toTypedArray()));
  expect(after.options).toEqual(before.options);
  expect(a.reduce((total, value, i) => total + value * b[i], 0)).toBeGreaterThan(0.99);
  for (const each of [before, after]) each.dispose();
});

test("wrong usage is said, and nothing takes the place of the model", async () => {
  await expect(run(base, "base")).rejects.toMatchObject({ code: "OPTION_INVALID" });
  await expect(run(base, "x", "--weights", "int3")).rejects.toMatchObject({ code: "commander.invalidArgument" });
  await expect(run(join(folder, "nothing"), "x")).rejects.toMatchObject({ code: "MODEL_NOT_FOUND" });
});
