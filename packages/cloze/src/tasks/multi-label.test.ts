// Scores of labels: those of the ranking are of all probabilities, not of the labels that reach a threshold.
import { expect, test } from "vitest";
import type { TextRow } from "../data/readers/index.js";
import { createWarnings } from "../data/readers/warnings.js";
import { labelRankingAveragePrecision } from "../metrics/multi-label.js";
import { taskParts } from "./index.js";

test("label ranking average precision is among the scores of several labels", () => {
  const task = taskParts["multi-label"];
  const row = (label: string[], at: number): TextRow => ({ text: "", label, row: at });
  const rows = [row(["a", "c"], 1), row(["b"], 2), row([], 3)];
  const scores = [
    { a: 0.4, b: 0.3, c: 0.1 },
    { a: 0.2, b: 0.2, c: 0.1 },
    { a: 0.9, b: 0.8, c: 0.7 },
  ];
  const predictions = scores.map((one) => ({ labels: [], scores: one }));
  const settings = { names: ["a", "b", "c"] };
  const { values } = task.score(rows, predictions, settings, createWarnings());
  const expected = (1 / 1 + 2 / 3) / 2 + 1 / 2 + 1;
  expect(values.labelRankingAveragePrecision).toBeCloseTo(expected / 3, 12);
  expect(values.labelRankingAveragePrecision).toBe(
    labelRankingAveragePrecision(
      [
        [1, 0, 1],
        [0, 1, 0],
        [0, 0, 0],
      ],
      scores.map(({ a, b, c }) => [a, b, c]),
    ),
  );
  // A label that the model does not know ranks behind all that it knows.
  const warnings = createWarnings();
  const unknown = task.score([row(["d"], 1)], [{ labels: [], scores: scores[0] }], settings, warnings);
  expect(unknown.values.labelRankingAveragePrecision).toBeCloseTo(1 / 4, 12);
  expect(warnings.list().length).toBe(1);
});
