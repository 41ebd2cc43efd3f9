import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readSafetensors, reshape, writeSafetensors } from "@cloze/tensor";
import { afterAll, expect, test } from "vitest";
import { wordModel, wordTokenizer } from "../../test/tiny-models.js";
import { saveModel } from "../families/index.js";
import { taskParts } from "../tasks/index.js";
import { finetune } from "./finetune.js";

const folder = mkdtempSync(join(tmpdir(), "cloze-missing-weights-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const train = ["good film", "bad film", "good song", "bad song"].map((text, i) => ({
  text,
  label: text.startsWith("good") ? "yes" : "no",
  row: i + 1,
}));

test("weights that are missing or of another shape are an error, or made anew", async () => {
  const tokenizer = wordTokenizer("good bad film song");
  const model = wordModel(tokenizer);
  saveModel(model, folder);
  tokenizer.save(folder);
  model.dispose();
  const weights = readSafetensors(folder);
  const kept = weights.names.filter((name) => !name.includes("layer.0.attention.self"));
  const values = kept.map((name) => {
    const value = weights.load(name);
    return [name, name.endsWith("layer.0.intermediate.dense.bias") ? reshape(value, [1, value.size]) : value] as const;
  });
  writeSafetensors(join(folder, "model.safetensors"), values);
  weights.close();
  const go = (allowMismatched: boolean) =>
    finetune({ task: taskParts.classification, model: folder, train, allowMismatched, epochs: 1, batchSize: 4 });
  await expect(go(false)).rejects.toThrow(expect.objectContaining({ code: "WEIGHT_MISSING" }));
  const result = await go(true);
  const anew = ["mixer.queryKeyValue.weight", "mixer.queryKeyValue.bias", "channel.input.bias"];
  expect(result.initialized).toEqual([
    ...anew.map((name) => `encoder.layers.0.${name}`),
    "head.classifier.weight",
    "head.classifier.bias",
  ]);
  result.model.dispose();
});
