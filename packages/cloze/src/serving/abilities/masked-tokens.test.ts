// Logits of chosen tokens on another thread, against the same head on this one.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { tinyTokenizer, writeTinyModel } from "../../../test/tiny-models.js";
import { type LoadedModel, loadServedFolder } from "../loaded-model.js";
import { maskAbility } from "./masked-tokens.js";
import { sparseAbility } from "./sparse.js";

const folder = mkdtempSync(join(tmpdir(), "cloze-logits-"));
let loaded: LoadedModel;
beforeAll(async () => {
  loaded = await loadServedFolder(writeTinyModel(folder, "language"));
});
afterAll(() => {
  loaded.close();
  rmSync(folder, { recursive: true, force: true });
});

const tokenizer = tinyTokenizer();
const unitsOf = (texts: readonly string[]) =>
  texts.map((text) => {
    const ids = tokenizer.encodeIds(text);
    return { ids, tokens: ids.length, top: 4, promptTokens: 0, dropped: 0 };
  });
/** More masks than rows that are read at once. */
const texts = Array.from({ length: 12 }, (_, i) => `the ${"[MASK] ".repeat(1 + (i % 5))}cat sat on the [MASK]`);
/** The same model without a plan of its head. */
const plain = (): LoadedModel => ({ ...loaded, rowHead: () => undefined });

test("masks are filled with the same words and probabilities", async () => {
  expect(loaded.rowHead(32)).toBeDefined();
  const planned = (await maskAbility(loaded)?.program.compute(unitsOf(texts))) ?? [];
  const expected = (await maskAbility(plain())?.program.compute(unitsOf(texts))) ?? [];
  expect(planned.map((masks) => masks.length)).toEqual(texts.map((_, i) => 2 + (i % 5)));
  for (const [i, masks] of planned.entries()) {
    for (const [m, predictions] of masks.entries()) {
      expect(predictions.map(({ id }) => id)).toEqual(expected[i][m].map(({ id }) => id));
      for (const [p, { probability }] of predictions.entries())
        expect(Math.abs(probability - expected[i][m][p].probability)).toBeLessThan(2e-5);
    }
  }
});

test("texts get the same weights of words", async () => {
  const planned = (await sparseAbility(loaded)?.program.compute(unitsOf(texts))) ?? [];
  const expected = (await sparseAbility(plain())?.program.compute(unitsOf(texts))) ?? [];
  expect(planned.every((values) => values.length > 0)).toBe(true);
  for (const [i, values] of planned.entries()) {
    expect(values.map(({ index }) => index)).toEqual(expected[i].map(({ index }) => index));
    for (const [v, { value }] of values.entries()) expect(Math.abs(value - expected[i][v].value)).toBeLessThan(2e-5);
  }
});

test("runs of the head that overlap do not mix", async () => {
  const head = loaded.rowHead(32);
  const { hiddenSize } = loaded.model.config;
  const rows = Array.from({ length: 5 }, (_, run) =>
    new Float32Array((run + 1) * hiddenSize).map((_, i) => Math.sin(i + run)),
  );
  const together = await Promise.all(rows.map((some) => head?.run(some)));
  for (const [run, some] of rows.entries()) expect(together[run]).toEqual(await head?.run(some));
  expect(together[4]).toHaveLength(5 * (head?.width ?? 0));
});
