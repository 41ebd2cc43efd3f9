import fc from "fast-check";
import { expect, test } from "vitest";
import { discountedGain, meanNormalizedDiscountedGain, normalizedDiscountedGain } from "./discounted-gain.js";
import {
  hitAtK,
  precisionAtK,
  type RankedList,
  rankedAveragePrecision,
  rankedNdcg,
  recallAtK,
  reciprocalRank,
  summarizeRankedLists,
} from "./ranked-lists.js";
import { fuseScores, rankOf, summarizeRanks } from "./ranking.js";

const list: RankedList<string> = {
  ranked: ["a", "b", "c", "d", "e"],
  relevance: new Map([
    ["b", 2],
    ["d", 1],
    ["z", 3],
    ["a", 0],
  ]),
};
const log2 = Math.log2;

test("one list by hand: relevant at places 2 and 4, one missed", () => {
  expect(precisionAtK(list, 2)).toBe(1 / 2);
  expect(precisionAtK(list, 10)).toBe(2 / 10);
  expect(recallAtK(list, 4)).toBeCloseTo(2 / 3, 12);
  expect([1, 2].map((k) => hitAtK(list, k))).toEqual([0, 1]);
  expect(reciprocalRank(list)).toBe(1 / 2);
  expect(rankedAveragePrecision(list)).toBeCloseTo((1 / 2 + 2 / 4) / 3, 12);
  const ideal = 3 + 2 / log2(3) + 1 / log2(4);
  expect(rankedNdcg(list)).toBeCloseTo((2 / log2(3) + 1 / log2(5)) / ideal, 12);
  expect(rankedNdcg(list, { cutoff: 2, gain: "exponential" })).toBeCloseTo(3 / log2(3) / (7 + 3 / log2(3)), 12);
});

test("means over queries; a query without relevant documents counts 0", () => {
  const nothing: RankedList<string> = { ranked: ["a"], relevance: new Map([["a", 0]]) };
  const summary = summarizeRankedLists([list, nothing], [1, 4]);
  expect(summary).toMatchObject({
    queries: 2,
    meanReciprocalRank: 1 / 4,
    meanAveragePrecision: rankedAveragePrecision(list) / 2,
    hitRate: { 1: 0, 4: 1 / 2 },
    recall: { 1: 0, 4: recallAtK(list, 4) / 2 },
    precision: { 1: 0, 4: 1 / 4 },
    ndcg: { 1: 0, 4: rankedNdcg(list, { cutoff: 4 }) / 2 },
  });
  expect(summarizeRankedLists([], [1]).meanAveragePrecision).toBeNaN();
  expect(rankedNdcg({ ranked: [], relevance: new Map() })).toBe(0);
  expect(rankedNdcg({ ranked: [], relevance: new Map([["a", 1]]) })).toBe(0);
});

test("discounted gain by hand, linear and exponential, with ties as their mean", () => {
  expect(discountedGain([3, 0, 2], [3, 2, 1])).toBeCloseTo(3 + 2 / log2(4), 12);
  expect(discountedGain([3, 0, 2], [3, 2, 1], { gain: "exponential" })).toBeCloseTo(7 + 3 / log2(4), 12);
  expect(discountedGain([3, 0, 2], [3, 2, 1], { cutoff: 2 })).toBe(3);
  expect(discountedGain([2, 0], [1, 1])).toBeCloseTo(1 + 1 / log2(3), 12);
  expect(discountedGain([2, 0], [1, 1], { cutoff: 1 })).toBe(1);
  expect(normalizedDiscountedGain([0, 0], [1, 2])).toBe(0);
  expect(normalizedDiscountedGain([], [])).toBe(0);
  expect(meanNormalizedDiscountedGain([], [])).toBeNaN();
});

test("ties are the mean over their orders", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 3, maxLength: 3 }), (grades) => {
      const orders = [
        [3, 2, 1],
        [3, 1, 2],
        [2, 3, 1],
        [1, 3, 2],
        [2, 1, 3],
        [1, 2, 3],
      ];
      for (const cutoff of [1, 2, 3]) {
        const mean = orders.reduce((sum, scores) => sum + discountedGain(grades, scores, { cutoff }), 0) / 6;
        expect(discountedGain(grades, [5, 5, 5], { cutoff })).toBeCloseTo(mean, 12);
      }
    }),
  );
});

test("gain lies between 0 and 1, ignores the order of documents, and sees only the order of scores", () => {
  const documents = fc.array(fc.tuple(fc.integer({ min: 0, max: 3 }), fc.integer({ min: -4, max: 4 })));
  fc.assert(
    fc.property(documents, fc.constantFrom(1, 3, 50), (given, cutoff) => {
      const gain = (pairs: readonly [number, number][], of: (score: number) => number = (s) => s) =>
        normalizedDiscountedGain(
          pairs.map(([grade]) => grade),
          pairs.map(([, score]) => of(score)),
          { cutoff },
        );
      expect(gain(given)).toBeGreaterThanOrEqual(0);
      expect(gain(given)).toBeLessThanOrEqual(1 + 1e-12);
      expect(gain([...given].reverse())).toBeCloseTo(gain(given), 12);
      expect(gain(given, Math.exp)).toBeCloseTo(gain(given), 12);
      const perfect = given.map(([grade]): [number, number] => [grade, grade]);
      expect(gain(perfect)).toBeCloseTo(given.some(([grade]) => grade > 0) ? 1 : 0, 12);
    }),
  );
});

test("what is wrong is said", () => {
  const value = expect.objectContaining({ code: "METRIC_VALUE" });
  const shape = expect.objectContaining({ code: "METRIC_SHAPE" });
  expect(() => precisionAtK({ ranked: ["a", "a"], relevance: new Map() }, 1)).toThrow(value);
  for (const metric of [precisionAtK, recallAtK, hitAtK]) expect(() => metric(list, 0)).toThrow(value);
  expect(() => discountedGain([-1], [1])).toThrow(value);
  expect(() => discountedGain([1], [Number.NaN])).toThrow(value);
  expect(() => discountedGain([1], [1], { cutoff: 1.5 })).toThrow(value);
  expect(() => discountedGain([1], [1, 2])).toThrow(shape);
  expect(() => meanNormalizedDiscountedGain([[1]], [])).toThrow(shape);
  expect(() => fuseScores([1], [1, 2], 1)).toThrow(shape);
});

test("ranks of one right answer agree with lists of one relevant document", () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.integer({ min: -50, max: 50 }), { minLength: 1 }), fc.nat(), (scores, pick) => {
      const target = pick % scores.length;
      const rank = rankOf(scores, target);
      const ranked = scores.map((_, i) => i).sort((a, b) => scores[b] - scores[a]);
      const one = { ranked, relevance: new Map([[target, 1]]) };
      const summary = summarizeRanks([rank], [5]);
      expect(reciprocalRank(one)).toBe(summary.meanReciprocalRank);
      expect(rankedAveragePrecision(one)).toBe(summary.meanReciprocalRank);
      expect(recallAtK(one, 5)).toBe(summary.recall[5]);
    }),
  );
});

test("a recall of all is 1, whatever the number of ranks", () => {
  for (let count = 1; count < 60; count++) {
    expect(summarizeRanks(new Array<number>(count).fill(1)).recall[1]).toBe(1);
  }
});
