import fc from "fast-check";
import { expect, test } from "vitest";
import { averagePrecision, bestThreshold, rocAuc, type ThresholdCounts } from "./curves.js";
import { scoresOf } from "./scores.js";

const samples = fc.array(fc.tuple(fc.constantFrom(0, 1), fc.integer({ min: -8, max: 8 })), { minLength: 1 });
const split = (given: readonly [number, number][]) => ({ y: given.map(([y]) => y), s: given.map(([, s]) => s / 4) });
const accuracyOf = ({ truePositives, trueNegatives, falsePositives, falseNegatives }: ThresholdCounts) =>
  (truePositives + trueNegatives) / (truePositives + trueNegatives + falsePositives + falseNegatives);

function countAt(y: readonly number[], s: readonly number[], threshold: number): ThresholdCounts {
  const count = (label: number, positive: boolean) =>
    y.filter((value, i) => value === label && s[i] >= threshold === positive).length;
  return {
    truePositives: count(1, true),
    falsePositives: count(0, true),
    falseNegatives: count(1, false),
    trueNegatives: count(0, false),
  };
}

test("four samples by hand", () => {
  // Pairs (positive, negative): 0.35 > 0.1, 0.35 < 0.4, 0.8 > both.
  expect(rocAuc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])).toBe(0.75);
  expect(averagePrecision([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])).toBeCloseTo(0.5 * 1 + 0.5 * (2 / 3), 12);
  expect(rocAuc([0, 1], [0.5, 0.5])).toBe(0.5);
  // All tie: one step of precision 1/3.
  expect(averagePrecision([0, 1, 0], [0.5, 0.5, 0.5])).toBeCloseTo(1 / 3, 12);
});

test("what is not defined", () => {
  for (const labels of [[], [0, 0], [1, 1]]) expect(rocAuc(labels, [1, 2].slice(0, labels.length))).toBeNaN();
  expect(averagePrecision([], [])).toBeNaN();
  expect(averagePrecision([0, 0], [1, 2])).toBe(0);
  expect(averagePrecision([1, 1], [1, 2])).toBe(1);
  expect(bestThreshold([], [])).toEqual({ threshold: Number.NaN, score: Number.NaN });
});

test("the area counts pairs, ties half; only the order of the scores matters", () => {
  fc.assert(
    fc.property(samples, (given) => {
      const { y, s } = split(given);
      let wins = 0;
      let all = 0;
      y.forEach((a, i) => {
        y.forEach((b, j) => {
          if (a !== 1 || b !== 0) return;
          all++;
          wins += s[i] > s[j] ? 1 : s[i] === s[j] ? 0.5 : 0;
        });
      });
      const bent = s.map((x) => Math.exp(x));
      if (all === 0) expect(rocAuc(y, s)).toBeNaN();
      else {
        expect(rocAuc(y, s)).toBeCloseTo(wins / all, 12);
        expect(rocAuc(y, bent)).toBe(rocAuc(y, s));
        expect(
          rocAuc(
            y,
            s.map((x) => -x),
          ),
        ).toBeCloseTo(1 - wins / all, 12);
      }
      expect(averagePrecision(y, bent)).toBe(averagePrecision(y, s));
    }),
  );
});

test("no threshold is better than the best one, and it reaches what it says", () => {
  for (const figure of [(counts: ThresholdCounts) => scoresOf(counts).f1, accuracyOf]) {
    fc.assert(
      fc.property(samples, (given) => {
        const { y, s } = split(given);
        const best = bestThreshold(y, s, figure);
        expect(figure(countAt(y, s, best.threshold))).toBe(best.score);
        for (const threshold of [...s, 100]) expect(figure(countAt(y, s, threshold))).toBeLessThanOrEqual(best.score);
        expect(Number.isFinite(best.threshold)).toBe(true);
      }),
    );
  }
});

test("the threshold lies between scores, survives neighbours in float64, and may say that nothing is positive", () => {
  expect(bestThreshold([0, 0, 1, 1], [0, 0.2, 0.6, 1])).toEqual({ threshold: expect.closeTo(0.4, 12), score: 1 });
  const above = 1 + Number.EPSILON;
  expect(bestThreshold([0, 1], [1, above])).toEqual({ threshold: above, score: 1 });
  expect(bestThreshold([0, 0], [3, 7])).toEqual({ threshold: 14, score: 0 });
  expect(bestThreshold([0, 0, 1], [3, 7, 1], accuracyOf).score).toBeCloseTo(2 / 3, 12);
});

test("lengths, labels and scores are checked", () => {
  for (const metric of [rocAuc, averagePrecision, bestThreshold]) {
    expect(() => metric([0, 1], [1])).toThrow(expect.objectContaining({ code: "METRIC_SHAPE" }));
    expect(() => metric([0, 2], [1, 2])).toThrow(expect.objectContaining({ code: "METRIC_VALUE" }));
    expect(() => metric([0, 1], [1, Number.NaN])).toThrow(expect.objectContaining({ code: "METRIC_VALUE" }));
  }
  expect(rocAuc([0, 1], [Number.NEGATIVE_INFINITY, 0])).toBe(1);
  expect(() => bestThreshold([0, 1], [Number.NEGATIVE_INFINITY, 0])).toThrow(/finite/);
});
