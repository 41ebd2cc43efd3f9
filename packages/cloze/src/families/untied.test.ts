// A decoder with a matrix of its own: transformers then has a second bias beside it, and no use for the tied one.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { full, readSafetensors, scope, type Tensor, writeSafetensors } from "@cloze/tensor";
import { afterEach, beforeEach, expect, test } from "vitest";
import { uniformEncoder } from "../encoder/config.js";
import { createModel, loadModel, saveModel } from "./index.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "cloze-untied-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const biases = ["cls.predictions.bias", "cls.predictions.decoder.bias"];
function save(tied: boolean): void {
  const config = uniformEncoder({ vocabularySize: 5, hiddenSize: 8, layers: 1, heads: 2, maxPositions: 8 });
  const model = createModel({ architecture: "ForMaskedLM", config, tied });
  saveModel(model, folder);
  model.dispose();
}
function change(edit: (weights: Map<string, Tensor>) => void): void {
  scope(() => {
    const file = readSafetensors(folder);
    const weights = new Map(file.names.map((name) => [name, file.load(name)]));
    file.close();
    edit(weights);
    writeSafetensors(join(folder, "model.safetensors"), weights);
  });
}
function saved(): Record<string, number | undefined> {
  const file = readSafetensors(folder);
  const values = biases.map((name) => [
    name,
    file.has(name) ? scope(() => file.load(name).toTypedArray()[0]) : undefined,
  ]);
  file.close();
  return Object.fromEntries(values) as Record<string, number | undefined>;
}
function loadedBias(): { value: number; unused: readonly string[] } {
  const model = loadModel(folder);
  const value = Number(model.parameters.get("head.decoder.bias")?.toTypedArray()[0]);
  const { unused } = model;
  saveModel(model, folder);
  model.dispose();
  return { value, unused };
}

test("the bias stands with the matrix where the decoder has one, alone where it has none", () => {
  save(true);
  expect(saved()).toEqual({ [biases[0]]: 0, [biases[1]]: undefined });
  save(false);
  expect(saved()).toEqual({ [biases[0]]: undefined, [biases[1]]: 0 });
});

test("of two biases that differ the decoder's is used, and the other one is kept", () => {
  save(false);
  change((weights) => weights.set(biases[0], full([5], 1)).set(biases[1], full([5], 2)));
  expect(loadedBias()).toEqual({ value: 2, unused: [] });
  expect(saved()).toEqual({ [biases[0]]: 1, [biases[1]]: 2 });
});

test.each([true, false])("either name is read where it is the only one, tied %s", (tied) => {
  for (const name of biases) {
    save(tied);
    change((weights) => {
      for (const other of biases) weights.delete(other);
      weights.set(name, full([5], 3));
    });
    expect(loadedBias()).toEqual({ value: 3, unused: [] });
  }
});
