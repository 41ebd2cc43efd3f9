import fc from "fast-check";
import { expect, test } from "vitest";
import {
  meanAbsoluteError,
  meanSquaredError,
  pearsonCorrelation,
  rSquared,
  spearmanCorrelation,
} from "./regression.js";
import { tiedRanks } from "./tied-ranks.js";

const pairs = fc.array(fc.tuple(fc.integer({ min: -9, max: 9 }), fc.integer({ min: -9, max: 9 })), { minLength: 2 });
const split = (given: readonly [number, number][]) => ({ a: given.map(([a]) => a), b: given.map(([, b]) => b) });

test("by hand", () => {
  expect(tiedRanks([3, 1, 3, 2])).toEqual(Float64Array.of(3.5, 1, 3.5, 2));
  // Deviations -1 0 1 and -2 1 1: 3 / sqrt(2 · 6).
  expect(pearsonCorrelation([1, 2, 3], [1, 4, 4])).toBeCloseTo(3 / Math.sqrt(12), 12);
  // Ranks 1 2 3 and 1 2.5 2.5: 1.5 / sqrt(2 · 1.5).
  expect(spearmanCorrelation([1, 2, 3], [1, 4, 4])).toBeCloseTo(1.5 / Math.sqrt(3), 12);
  expect(meanSquaredError([1, 2, 3], [1, 4, 4])).toBeCloseTo(5 / 3, 12);
  expect(meanAbsoluteError([1, 2, 3], [1, 4, 4])).toBe(1);
  expect(rSquared([1, 2, 3], [1, 4, 4])).toBeCloseTo(1 - 5 / 2, 12);
});

test("what is not defined", () => {
  for (const metric of [pearsonCorrelation, spearmanCorrelation, rSquared]) {
    expect(metric([], [])).toBeNaN();
    expect(metric([1], [1])).toBeNaN();
  }
  // 0.1 + 0.1 + 0.1 is not three times 0.1: a constant is found without its mean.
  expect(pearsonCorrelation([0.1, 0.1, 0.1], [1, 2, 3])).toBeNaN();
  expect(spearmanCorrelation([1, 2, 3], [0.1, 0.1, 0.1])).toBeNaN();
  expect(spearmanCorrelation([1, Number.NaN, 3], [1, 2, 3])).toBeNaN();
  expect(rSquared([0.1, 0.1, 0.1], [0.1, 0.1, 0.1])).toBe(1);
  expect(rSquared([0.1, 0.1, 0.1], [0.1, 0.1, 0.2])).toBe(0);
  expect(meanSquaredError([], [])).toBeNaN();
  expect(meanAbsoluteError([], [])).toBeNaN();
  // The squares of these deviations are subnormal.
  expect(pearsonCorrelation([1e-160, 2e-160, 3e-160], [1, 2, 3])).toBeCloseTo(1, 3);
});

test("lengths that differ are an error", () => {
  for (const metric of [pearsonCorrelation, spearmanCorrelation, rSquared, meanSquaredError, meanAbsoluteError]) {
    expect(() => metric([1, 2], [1])).toThrow(expect.objectContaining({ code: "METRIC_SHAPE" }));
  }
});

test("Spearman sees ranks alone, Pearson neither scale nor shift; both are symmetric", () => {
  fc.assert(
    fc.property(pairs, (given) => {
      const { a, b } = split(given);
      const bent = b.map((x) => x ** 3 + x);
      const [rank, line] = [spearmanCorrelation(a, b), pearsonCorrelation(a, b)];
      if (Number.isNaN(line)) {
        expect(new Set(a).size === 1 || new Set(b).size === 1).toBe(true);
        expect(rank).toBeNaN();
        return;
      }
      expect(spearmanCorrelation(a, bent)).toBe(rank);
      expect(spearmanCorrelation(b, a)).toBeCloseTo(rank, 12);
      expect(pearsonCorrelation(b, a)).toBeCloseTo(line, 12);
      const scaled = a.map((x) => 5 - 2 * x);
      expect(pearsonCorrelation(scaled, b)).toBeCloseTo(-line, 12);
      expect(Math.max(Math.abs(line), Math.abs(rank))).toBeLessThanOrEqual(1);
      const reversed = split([...given].reverse());
      expect(pearsonCorrelation(reversed.a, reversed.b)).toBeCloseTo(line, 12);
      expect(spearmanCorrelation(reversed.a, reversed.b)).toBeCloseTo(rank, 12);
    }),
  );
});

test("ranks add up, whatever ties", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 5 })), (values) => {
      const sum = tiedRanks(values).reduce((total, rank) => total + rank, 0);
      expect(sum).toBe((values.length * (values.length + 1)) / 2);
    }),
  );
});
