import fc from "fast-check";
import { expect, test } from "vitest";
import {
  applyThresholds,
  bestLabelThresholds,
  exactMatchRatio,
  hammingLoss,
  labelRankingAveragePrecision,
  macroRocAuc,
  multiLabelReport,
} from "./multi-label.js";

const y = [
  [1, 0, 1],
  [0, 1, 0],
  [0, 0, 0],
];
const p = [
  [1, 1, 0],
  [0, 1, 0],
  [0, 0, 0],
];

test("three samples by hand", () => {
  const { labels, micro, macro, samples, weighted } = multiLabelReport(y, p);
  expect(labels.map(({ f1 }) => f1)).toEqual([1, 2 / 3, 0]);
  expect(micro).toEqual({ precision: 2 / 3, recall: 2 / 3, f1: 2 / 3 });
  expect(macro.f1).toBeCloseTo((1 + 2 / 3) / 3, 12);
  expect(weighted.f1).toBeCloseTo((1 + 2 / 3) / 3, 12);
  // Two of four right, all right, and nothing to find counts 0.
  expect(samples.f1).toBeCloseTo((1 / 2 + 1 + 0) / 3, 12);
  expect(hammingLoss(y, p)).toBeCloseTo(2 / 9, 12);
  expect(exactMatchRatio(y, p)).toBeCloseTo(2 / 3, 12);
});

test("label ranking: ties count as ranked above, rows without a question count 1", () => {
  // True labels at ranks 1 and 3: (1/1 + 2/3) / 2.
  expect(labelRankingAveragePrecision([[1, 0, 1]], [[0.9, 0.5, 0.1]])).toBeCloseTo(5 / 6, 12);
  expect(labelRankingAveragePrecision([[1, 0, 1, 0]], [[0.5, 0.5, 0.5, 0.5]])).toBe(0.5);
  expect(
    labelRankingAveragePrecision(
      [
        [1, 1],
        [0, 0],
      ],
      [
        [0, 1],
        [0, 1],
      ],
    ),
  ).toBe(1);
});

test("areas by label, and what is not defined", () => {
  // By label: 1, then one of two negatives ties (3/4), then all tie (1/2).
  expect(macroRocAuc(y, p)).toBeCloseTo((1 + 3 / 4 + 1 / 2) / 3, 12);
  expect(
    macroRocAuc(
      [
        [1, 0],
        [0, 0],
      ],
      [
        [1, 0],
        [0, 1],
      ],
    ),
  ).toBeNaN();
  for (const metric of [macroRocAuc, labelRankingAveragePrecision, hammingLoss, exactMatchRatio]) {
    expect(metric([], [])).toBeNaN();
  }
  expect(multiLabelReport([], []).samples.f1).toBeNaN();
  expect(bestLabelThresholds([], [])).toEqual([]);
});

test("shapes and values are checked", () => {
  for (const metric of [multiLabelReport, macroRocAuc, labelRankingAveragePrecision, hammingLoss, exactMatchRatio]) {
    const shape = expect.objectContaining({ code: "METRIC_SHAPE" });
    expect(() => metric([[0, 1]], [])).toThrow(shape);
    expect(() => metric([[0, 1]], [[0]])).toThrow(shape);
    expect(() => metric([[0, 1], [0]], [[0, 1], [0]])).toThrow(shape);
    expect(() => metric([[0, 2]], [[0, 1]])).toThrow(expect.objectContaining({ code: "METRIC_VALUE" }));
    expect(() => metric([[0, 1]], [[0, Number.NaN]])).toThrow(expect.objectContaining({ code: "METRIC_VALUE" }));
  }
  expect(() => applyThresholds([[0.5, 0.2]], [0.1])).toThrow(expect.objectContaining({ code: "METRIC_SHAPE" }));
});

test("thresholds by label are at least as good as one for all, on the samples they were tuned on", () => {
  const row = fc.tuple(...[0, 1, 2].map(() => fc.tuple(fc.constantFrom(0, 1), fc.integer({ min: 0, max: 9 }))));
  fc.assert(
    fc.property(fc.array(row, { minLength: 1, maxLength: 20 }), fc.integer({ min: 0, max: 9 }), (rows, single) => {
      const labels = rows.map((entries) => entries.map(([label]) => label));
      const scores = rows.map((entries) => entries.map(([, score]) => score));
      const tuned = bestLabelThresholds(labels, scores);
      const own = multiLabelReport(
        labels,
        applyThresholds(
          scores,
          tuned.map(({ threshold }) => threshold),
        ),
      );
      expect(own.labels.map(({ f1 }) => f1)).toEqual(tuned.map(({ score }) => score));
      expect(own.macro.f1).toBeGreaterThanOrEqual(
        multiLabelReport(labels, applyThresholds(scores, single)).macro.f1 - 1e-12,
      );
    }),
  );
});
