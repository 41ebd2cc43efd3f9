import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Check, compare } from "./check.js";
import { checkFolder } from "./folder.js";

const fixtures = fileURLToPath(new URL("../../test/fixtures/", import.meta.url));
const run = (folder: string): Promise<Check[]> => checkFolder(folder, () => {});

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "cloze-parity-test-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test("every BERT class: outputs, hidden states, loss, gradients, and what is saved again", async () => {
  const checks = await run(join(fixtures, "models"));
  expect(checks.filter(({ ok }) => !ok)).toEqual([]);
  const names = checks.map((check) => check.case);
  for (const part of [
    "Model outputs",
    "Model hidden states",
    "ForMaskedLM gradients",
    "LMHeadModel gradients",
    "ForSequenceClassification gradients",
    "ForTokenClassification loss",
    "ForQuestionAnswering loss",
    "ForPreTraining outputs",
    "ForNextSentencePrediction outputs",
  ]) {
    expect(names).toContain(`models/bert/${part}`);
  }
  expect(checks).toHaveLength(25);
});

test("twenty steps of AdamW: masked language model, classification, question answering", async () => {
  const checks = await run(join(fixtures, "training"));
  expect(checks).toHaveLength(12);
  for (const { case: name, ok, difference, note } of checks) {
    // The gradient of the answer's bias is zero but for rounding (softmax ignores a shift), and Adam makes steps of that
    // noise: PyTorch itself differs by 1.3e-4 between machines.
    const noisy = name === "training/qa parameters" && note === "qa_outputs.bias";
    expect(ok || (noisy && (difference ?? 1) < 5e-4), name).toBe(true);
  }
});

test("a model type that Cloze does not know is a failed line, not a crash", async () => {
  cpSync(join(fixtures, "models", "bert"), join(folder, "models", "new"), { recursive: true });
  const config = join(folder, "models", "new", "ForMaskedLM", "config.json");
  writeFileSync(config, readFileSync(config, "utf8").replace('"bert"', '"new-type"'));
  const checks = await run(folder);
  const failed = checks.filter(({ ok }) => !ok);
  expect(failed.map((check) => check.case)).toEqual(["models/new/ForMaskedLM"]);
  expect(failed[0].note).toContain("new-type");
});

test("weights that are not those of the case are out of tolerance", async () => {
  cpSync(join(fixtures, "models", "bert"), join(folder, "bert"), { recursive: true });
  cpSync(
    join(folder, "bert", "ForTokenClassification", "model.safetensors"),
    join(folder, "bert", "ForQuestionAnswering", "model.safetensors"),
  );
  cpSync(join(folder, "bert", "LMHeadModel"), join(folder, "bert", "ForMaskedLM"), { recursive: true });
  const failed = (await run(join(folder, "bert"))).filter(({ ok }) => !ok).map((check) => check.case);
  expect(failed).toContain("bert/ForQuestionAnswering");
});

test("folders with nothing to compare, or broken ones, say so", async () => {
  await expect(run(folder)).rejects.toMatchObject({ code: "PARITY_FOLDER" });
  await expect(run(join(folder, "none"))).rejects.toMatchObject({ code: "PARITY_FOLDER" });
  mkdirSync(join(folder, "models", "broken"), { recursive: true });
  writeFileSync(join(folder, "models", "broken", "cases.json"), "{");
  expect(await run(folder)).toMatchObject([{ case: "models/broken", ok: false }]);
});

test("differences are scaled by the largest expected value, and NaN is never close", () => {
  const scaled = compare("a", 1e-3);
  scaled.add("x", [100.05, 1], [100, 1]);
  expect(scaled.finish()).toMatchObject({ ok: true, note: "x" });
  expect(scaled.finish().difference).toBeCloseTo(5e-4, 8);
  const broken = compare("b", 1e-3);
  broken.add("x", [Number.NaN], [1]);
  expect(broken.finish().ok).toBe(false);
  const short = compare("c", 1e-3);
  short.add("x", [1], [1, 2]);
  expect(short.finish().ok).toBe(false);
});
