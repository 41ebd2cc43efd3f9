import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { scope } from "@cloze/tensor";
import { afterAll, expect, test } from "vitest";
import { packSequences } from "../data/packed-batch.js";
import { uniformEncoder } from "../encoder/config.js";
import { createModel, loadModel, type Model, saveModel } from "../families/index.js";
import { classification } from "../tasks/classification.js";
import { trainWordPiece } from "../text/index.js";
import { type FinetuneOptions, finetune } from "./finetune.js";
import { hasLora } from "./policies/lora.js";
import { loadLora } from "./policies/lora-files.js";

const folder = mkdtempSync(join(tmpdir(), "cloze-finetune-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const good = ["a fine film", "great fun", "a lovely story", "fine acting"];
const bad = ["a dull film", "no fun", "a poor story", "dull acting"];
const labelled = [...good.map((text) => ({ text, label: "good" })), ...bad.map((text) => ({ text, label: "bad" }))];
const rows = labelled.map((row, i) => ({ ...row, row: i + 1 }));
const tokenizer = trainWordPiece(
  rows.map(({ text }) => text),
  { vocabularySize: 80, minFrequency: 1 },
);
const base = join(folder, "base");
const config = uniformEncoder({
  vocabularySize: tokenizer.vocabularySize,
  hiddenSize: 16,
  layers: 2,
  heads: 2,
  maxPositions: 32,
  initializerRange: 0.2,
});
const created = createModel({ architecture: "ForMaskedLM", config, seed: 3 });
saveModel(created, base);
created.dispose();

type Options = Partial<FinetuneOptions<(typeof rows)[number], unknown, unknown>>;
const run = (options: Options) =>
  finetune({
    ...(options as object),
    task: classification,
    model: base,
    tokenizer,
    train: rows,
    dev: rows,
    epochs: 20,
    batchSize: 4,
    learningRate: 0.01,
  });
const batch = packSequences([{ ids: tokenizer.encodeIds("a fine story") }]);
const logitsOf = (model: Model): number[] =>
  scope(() => Array.from(model.forward(batch).logits?.toTypedArray() as Float32Array));

test("adapters are trained, saved for PEFT and merged", async () => {
  const out = join(folder, "lora");
  const result = await run({ folder: out, lora: { rank: 4, alpha: 16, targets: "all-linear" } });
  expect(result.devScores?.values.accuracy).toBe(1);
  expect(result.trainedParameters).toBeLessThan(result.parameters / 2);
  expect(hasLora(result.model)).toBe(false);
  const saved = loadModel(out);
  expect(saved.source?.model_type).toBe("bert");
  logitsOf(saved).forEach((value, i) => {
    expect(value).toBeCloseTo(logitsOf(result.model)[i], 5);
  });
  // The adapter on the model that it was trained on says the same; the embeddings are the base's.
  const fresh = loadModel(base, { architecture: "ForSequenceClassification", labels: 2 });
  const adapted = loadLora(fresh, join(out, "adapter"));
  logitsOf(adapted).forEach((value, i) => {
    expect(value).toBeCloseTo(logitsOf(saved)[i], 4);
  });
  for (const model of [result.model, saved, adapted]) model.dispose();
});

test("averages are what is evaluated and kept; layers may run again", async () => {
  const plain = await run({});
  const again = await run({ recompute: true });
  expect(logitsOf(again.model)).toEqual(logitsOf(plain.model));
  const out = join(folder, "average");
  const averaged = await run({ folder: out, average: { decay: 0.8 } });
  expect(averaged.devScores?.values.accuracy).toBe(1);
  expect(logitsOf(averaged.model)).not.toEqual(logitsOf(plain.model));
  const evaluations = readFileSync(join(out, "evaluations.jsonl"), "utf8").trim().split("\n");
  expect(JSON.parse(evaluations[evaluations.length - 1]).scores).toEqual(averaged.evaluations.at(-1)?.scores);
  // Slower than the weights: the average lags behind.
  const first = (result: typeof plain) => result.evaluations.findIndex(({ value }) => value === 1);
  expect(first(averaged)).toBeGreaterThanOrEqual(first(plain));
  for (const { model } of [plain, again, averaged]) model.dispose();
});
