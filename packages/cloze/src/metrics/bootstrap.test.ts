import { expect, test } from "vitest";
import { randomSource } from "../data/random-source.js";
import { bootstrapInterval, pairedBootstrap } from "./bootstrap.js";
import { bitsPerByte, bitsPerToken, meanTokenLoss, perplexity } from "./perplexity.js";
import { summarizeSeeds } from "./seed-summary.js";

const meanOver = (values: ArrayLike<number>) => (places: Int32Array) =>
  places.reduce((sum, place) => sum + values[place], 0) / places.length;
const draw = (count: number, seed: number) => Float64Array.from({ length: count }, randomSource(seed));

test("the interval of a mean is as wide as theory says, and depends on nothing but the seed", () => {
  const values = draw(400, 3);
  const mean = meanOver(values)(Int32Array.from(values.keys()));
  const sd = Math.sqrt(values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / values.length);
  const interval = bootstrapInterval(400, meanOver(values), { resamples: 2000, seed: 5 });
  expect(interval.estimate).toBe(mean);
  // A percentile of 2000 resamples is itself uncertain by a few per cent.
  expect((interval.high - interval.low) / ((2 * 1.96 * sd) / Math.sqrt(400))).toBeCloseTo(1, 0.7);
  expect(interval.low).toBeLessThan(mean);
  expect(interval.high).toBeGreaterThan(mean);
  expect(bootstrapInterval(400, meanOver(values), { resamples: 2000, seed: 5 })).toEqual(interval);
  expect(bootstrapInterval(400, meanOver(values), { resamples: 2000, seed: 6 })).not.toEqual(interval);
  const narrow = bootstrapInterval(400, meanOver(values), { resamples: 2000, seed: 5, confidence: 0.5 });
  expect(narrow.low).toBeGreaterThan(interval.low);
  expect(narrow.high).toBeLessThan(interval.high);
});

test("resamples that do not define the figure are counted and left out", () => {
  const onlyBoth = (places: Int32Array) => (new Set(places).size === 2 ? 1 : Number.NaN);
  const { undefinedResamples, low, high } = bootstrapInterval(2, onlyBoth, { resamples: 200 });
  expect(undefinedResamples).toBeGreaterThan(50);
  expect(undefinedResamples).toBeLessThan(150);
  expect([low, high]).toEqual([1, 1]);
  expect(bootstrapInterval(0, onlyBoth)).toMatchObject({
    estimate: Number.NaN,
    low: Number.NaN,
    undefinedResamples: 0,
  });
});

test("paired: the same system twice is no difference, a real one is found, the sides mirror each other", () => {
  const first = draw(200, 1);
  const same = pairedBootstrap(200, meanOver(first), meanOver(first));
  expect(same).toMatchObject({ estimate: 0, low: 0, high: 0, pValue: 1, secondBetter: 0 });
  const better = first.map((x, i) => x + 0.1 + (i % 2) * 0.02);
  const found = pairedBootstrap(200, meanOver(first), meanOver(better), { resamples: 500 });
  expect(found.estimate).toBeCloseTo(0.11, 9);
  expect(found.pValue).toBe(1 / 501);
  expect(found.secondBetter).toBe(1);
  const mirrored = pairedBootstrap(200, meanOver(better), meanOver(first), { resamples: 500 });
  expect(mirrored.low).toBeCloseTo(-found.high, 12);
  expect(mirrored.pValue).toBe(found.pValue);
  const noise = draw(200, 2);
  expect(pairedBootstrap(200, meanOver(first), meanOver(noise)).pValue).toBeGreaterThan(0.01);
  expect(pairedBootstrap(0, meanOver(first), meanOver(noise)).pValue).toBe(1);
});

test("numbers of samples that make no sense are an error", () => {
  for (const [samples, options] of [
    [-1, {}],
    [1.5, {}],
    [3, { resamples: 0 }],
    [3, { confidence: 1 }],
  ] as const) {
    expect(() => bootstrapInterval(samples, () => 0, options)).toThrow(
      expect.objectContaining({ code: "METRIC_VALUE" }),
    );
  }
});

test("seeds: mean and sample standard deviation", () => {
  const summary = summarizeSeeds([2, 4, 9]);
  expect(summary).toMatchObject({ runs: 3, mean: 5, lowest: 2, highest: 9 });
  expect(summary.standardDeviation).toBeCloseTo(Math.sqrt((9 + 1 + 16) / 2), 12);
  expect(summarizeSeeds([3])).toMatchObject({ mean: 3, standardDeviation: Number.NaN });
  expect(summarizeSeeds([])).toMatchObject({ runs: 0, mean: Number.NaN, lowest: Number.NaN, highest: Number.NaN });
});

test("perplexity of a uniform guess is the number of choices; batches weigh by their tokens", () => {
  expect(perplexity(Math.log(50))).toBeCloseTo(50, 9);
  expect(bitsPerToken(Math.log(8))).toBeCloseTo(3, 12);
  expect(bitsPerByte(Math.log(2) * 6, 3)).toBeCloseTo(2, 12);
  expect(meanTokenLoss([1, 4, Number.NaN], [3, 1, 0])).toBe(7 / 4);
  expect(meanTokenLoss([], [])).toBeNaN();
  expect(() => meanTokenLoss([1], [])).toThrow(expect.objectContaining({ code: "METRIC_SHAPE" }));
});
