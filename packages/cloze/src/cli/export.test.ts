import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { runCommand } from "../../test/run-command.js";
import { uniformEncoder } from "../encoder/config.js";
import { createModel, saveModel } from "../families/index.js";
import { trainWordPiece } from "../text/index.js";
import { addExport } from "./export.js";

const folder = mkdtempSync(join(tmpdir(), "cloze-export-command-"));
const base = join(folder, "base");
beforeAll(() => {
  const tokenizer = trainWordPiece(["a text", "another text"], { vocabularySize: 60, minFrequency: 1 });
  const { vocabularySize } = tokenizer;
  const model = createModel({
    architecture: "ForSequenceClassification",
    config: uniformEncoder({ vocabularySize, hiddenSize: 16, layers: 1, heads: 2, maxPositions: 16 }),
    names: ["no", "yes"],
  });
  saveModel(model, base);
  tokenizer.save(base);
  model.dispose();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(() => vi.restoreAllMocks());

const run = (...args: string[]): Promise<unknown> => runCommand(addExport, "export", "--model", base, ...args);

test("writes the folder that transformers.js reads", async () => {
  const out = join(folder, "out");
  const files = ["model.onnx", "model_quantized.onnx"].map((name) => join(out, "onnx", name));
  const results = [await run("--out", out, "--output", "logits"), await run("--out", out, "--quantize", "int8")];
  expect(results).toEqual([
    expect.objectContaining({ path: files[0], outputs: ["logits"] }),
    expect.objectContaining({ path: files[1], outputs: ["last_hidden_state"] }),
  ]);
  expect(files.map((path) => existsSync(path))).toEqual([true, true]);
  const config = JSON.parse(readFileSync(join(out, "config.json"), "utf8"));
  expect([config.model_type, config.id2label]).toEqual(["bert", { 0: "no", 1: "yes" }]);
  for (const name of ["tokenizer.json", "tokenizer_config.json"]) {
    expect(readFileSync(join(out, name)).equals(readFileSync(join(base, name)))).toBe(true);
  }
});
test("beside the model itself, its files stay", async () => {
  const before = ["config.json", "tokenizer.json", "model.safetensors"].map((name) => readFileSync(join(base, name)));
  await run("--out", base);
  const after = ["config.json", "tokenizer.json", "model.safetensors"].map((name) => readFileSync(join(base, name)));
  expect(after.map((bytes, i) => bytes.equals(before[i]))).toEqual([true, true, true]);
});
test("wrong usage is said", async () => {
  await expect(run("--out", join(folder, "no"), "--opset", "9")).rejects.toMatchObject({ code: "OPTION_INVALID" });
  await expect(run("--out", join(folder, "no"), "--output", "words")).rejects.toThrow(/Allowed choices/);
  expect(existsSync(join(folder, "no"))).toBe(false);
});
