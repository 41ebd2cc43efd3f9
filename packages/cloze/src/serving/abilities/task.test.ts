// Heads in plans, on another thread, against the same heads behind the hidden states on this one.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { tinyMaxLength, tinyTokenizer, writeTinyModel } from "../../../test/tiny-models.js";
import { uniformEncoder } from "../../encoder/config.js";
import { createModel } from "../../families/index.js";
import type { CompileOptions } from "../../inference/compile.js";
import { saveTaskModel, taskOf } from "../../tasks/index.js";
import { type LoadedModel, loadServedFolder } from "../loaded-model.js";
import { taskAbility } from "./task.js";

const folder = mkdtempSync(join(tmpdir(), "cloze-heads-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const tokenizer = tinyTokenizer();
const shape = { vocabularySize: tokenizer.vocabularySize, hiddenSize: 16, layers: 2, heads: 2, initializerRange: 0.3 };
const config = uniformEncoder({ ...shape, maxPositions: tinyMaxLength });

/** Folders by kind of task. */
const makers: Readonly<Record<string, () => string>> = {
  reranker: () => writeTinyModel(folder, "reranker"),
  classifier: () => writeTinyModel(folder, "classifier"),
  tagger: () => writeTinyModel(folder, "tagger"),
  reader: () => writeTinyModel(folder, "reader"),
  "conditional random field"() {
    const names = ["B-PER", "I-PER", "O"];
    const head = { type: "token-classification", labels: 3, names, crf: true } as const;
    const model = createModel({ architecture: "ForTokenClassification", head, config, seed: 5 });
    const settings = { names, scheme: "BIO", crf: true, stride: 4 };
    const place = join(folder, "crf");
    saveTaskModel(
      { task: taskOf("token-classification"), settings, model, tokenizer, maxLength: tinyMaxLength },
      place,
    );
    model.dispose();
    return place;
  },
};

const units = ["the small cat sat on the mat", "a large dog", "where is london"].map((text) => {
  const ids = tokenizer.encodeIds(text);
  return { ids, tokens: ids.length };
});

/** A model whose plans end at the hidden states, with what was asked of it. */
function withoutPlannedHeads(loaded: LoadedModel, asked: unknown[] = []): LoadedModel {
  return {
    ...loaded,
    compiled(wanted: Pick<CompileOptions, "outputs" | "pooling">) {
      asked.push(wanted.outputs);
      const compiled = loaded.compiled(wanted);
      return wanted.outputs === "logits" ? { ...compiled, planned: false } : compiled;
    },
  };
}

test.each(Object.entries(makers))("the plan's head and the head behind it say the same: %s", async (_, make) => {
  const loaded = await loadServedFolder(make());
  const runs: unknown[] = [];
  const watched = {
    ...loaded,
    compiled(wanted: Pick<CompileOptions, "outputs" | "pooling">) {
      runs.push(wanted.outputs);
      return loaded.compiled(wanted);
    },
  };
  const planned = await taskAbility(watched)?.program.compute(units);
  expect(runs).toEqual(["logits"]);
  const asked: unknown[] = [];
  const plain = await taskAbility(withoutPlannedHeads(loaded, asked))?.program.compute(units);
  expect(asked).toEqual(["logits", "hidden"]);
  expect(planned).toHaveLength(units.length);
  planned?.forEach((numbers, i) => {
    const expected = plain?.[i] ?? [];
    expect(numbers).toHaveLength(expected.length);
    expect(numbers.length).toBeGreaterThan(0);
    for (const [at, value] of numbers.entries()) expect(Math.abs(value - expected[at])).toBeLessThan(2e-5);
  });
  // Otherwise two outputs of zeros would be equal too.
  expect(Math.max(...(planned?.[0] ?? []).map(Math.abs))).toBeGreaterThan(1e-3);
  loaded.close();
});
