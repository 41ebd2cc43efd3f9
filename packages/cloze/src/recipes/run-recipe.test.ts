import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { papersPage } from "./papers-page.js";
import { defineRecipe } from "./recipe.js";
import { readResult, writeResult } from "./result-file.js";
import { runRecipe } from "./run-recipe.js";
import { resultTable } from "./table.js";

const asked: string[] = [];
const recipe = defineRecipe({
  paper: "toy",
  title: "A toy",
  source: "nowhere",
  parts: ["nothing.ts"],
  about: "Adds.",
  arms: { without: { extra: 0 }, with: { extra: 2 } },
  data: ({ seed, scaled }) => ({ base: seed, steps: scaled(10) }),
  run({ extra }, { base, steps }, { seed }) {
    asked.push(`${seed}:${extra}`);
    return { score: base + extra, steps };
  },
  bounds: [
    { claim: "it adds", paper: "2", value: (of) => of.with.score - of.without.score, atLeast: 2, digits: 1 },
    { claim: "it adds little", paper: "1", value: (of) => of.with.score - of.without.score, atMost: 1 },
    { claim: "it is a number", paper: "-", value: () => Number.NaN, atLeast: 0 },
  ],
  report: { steps: (of) => of.with.steps },
  pictures: [
    { kind: "bars", title: "scores", bars: { without: (of) => of.without.score, with: (of) => of.with.score } },
    {
      kind: "curves",
      title: "growth",
      x: "step",
      curves: {
        with: (of) => [
          [1, of.with.score],
          [2, of.with.score + 1],
        ],
      },
    },
  ],
  notes: ["A note."],
});

test("every arm runs with every seed; the mean is held against the bound, and NaN holds none", async () => {
  asked.length = 0;
  const done = await runRecipe(recipe, { seeds: [3, 4] });
  expect(asked).toEqual(["3:0", "3:2", "4:0", "4:2"]);
  expect(done?.result.rows.map(({ held, bound }) => [held, bound])).toEqual([
    [true, "≥ 2"],
    [false, "≤ 1"],
    [false, "≥ 0"],
  ]);
  expect(done?.result.held).toBe(false);
  expect(done?.result.arms.with.score).toMatchObject({ mean: 5.5, values: [5, 6] });
  expect(done?.result.arms.with.score.deviation).toBeCloseTo(Math.SQRT1_2, 10);
  expect(resultTable(done!.result.rows)[1]).toEqual(["it adds", "2", "2.0 ± 0.0", "≥ 2", "yes"]);
});

test("a scale changes counts, not seeds; a lone seed has no deviation", async () => {
  const quick = await runRecipe(recipe, { scale: "quick" });
  expect(quick?.result.report.steps).toEqual({ mean: 2, deviation: null, values: [2] });
  expect((await runRecipe(recipe, { scale: "full" }))?.result.report.steps.mean).toBe(40);
});

test("stopping between arms gives nothing", async () => {
  expect(await runRecipe(recipe, { shouldStop: () => true })).toBeUndefined();
});

test("a result is read as it was written, and its page says what did not hold", async () => {
  const folder = mkdtempSync(join(tmpdir(), "cloze-recipe-"));
  try {
    const done = (await runRecipe(recipe, { seeds: [1, 2] }))!;
    const stored = writeResult(folder, done.result, done.pictures, folder);
    expect(readdirSync(folder).sort()).toEqual(["result-2.svg", "result.json", "result.svg"]);
    expect(readResult(folder)).toEqual(stored);
    expect(stored).toMatchObject({ commit: "unknown", held: false, machine: expect.stringContaining("Node") });
    expect(stored.rows[2].ours.mean).toBeNull();
    expect(readFileSync(join(folder, "result.svg"), "utf8")).toMatch(/^<svg[\s\S]*scores[\s\S]*<\/svg>\n$/);
    const page = papersPage([{ recipe, result: stored, pictures: ["result.svg"] }]);
    expect(page).toContain("| it adds little | 1 | 2.000 ± 0.000 | ≤ 1 | NO |");
    expect(page).toContain("1 of 3 bounds held");
    expect(page).toContain("A note.");
    writeFileSync(join(folder, "result.json"), "{");
    expect(() => readResult(folder)).toThrow(/result.json/);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test("arms that differ in more than one field need a reason, and a recipe a bound", () => {
  const plain = { ...recipe, data: () => 0, run: () => ({ score: 1 }) };
  expect(() => defineRecipe({ ...plain, arms: { a: { x: 1, y: 1 }, b: { x: 2, y: 2 } } })).toThrow(
    /more than one field/,
  );
  expect(() =>
    defineRecipe({ ...plain, arms: { a: { x: 1, y: 1 }, b: { x: 2, y: 2 } }, differ: "they must" }),
  ).not.toThrow();
  expect(() => defineRecipe({ ...plain, arms: { a: { x: 1 } }, bounds: [] })).toThrow(/nothing is bounded/);
});
