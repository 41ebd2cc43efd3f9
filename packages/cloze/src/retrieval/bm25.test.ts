import { expect, test } from "vitest";
import { fuseScores, rankOf, standardizeScores, summarizeRanks } from "../metrics/ranking.js";
import { Bm25Index } from "./bm25.js";

test("BM25 equals its formula and ranks the rarer word first", () => {
  const index = new Bm25Index(["a cat", "a dog a dog", "a"]);
  const inverse = Math.log(1 + 2.5 / 1.5);
  const lengthPart = 1.2 * (0.25 + (0.75 * 2) / (7 / 3));
  expect(index.scores("CAT")[0]).toBeCloseTo((inverse * 2.2) / (1 + lengthPart), 5);
  expect(index.search("a cat", 2)[0].index).toBe(0);
  expect(index.search("unseen", 5)).toEqual([]);
  expect(new Bm25Index([]).search("a", 1)).toEqual([]);
});

test("ties share their ranks; recall, reciprocal rank and fusion", () => {
  expect(rankOf([1, 3, 3, 0], 1)).toBe(1.5);
  expect(() => rankOf([1], 4)).toThrow(/finite/);
  expect(summarizeRanks([1, 4], [1, 10])).toEqual({ recall: { 1: 0.5, 10: 1 }, meanReciprocalRank: 0.625 });
  expect([...standardizeScores([2, 2])]).toEqual([0, 0]);
  expect([...fuseScores([1, -1], [-1, 1], 0.5)]).toEqual([0.5, -0.5]);
  expect(() => fuseScores([1], [1, 2], 1)).toThrow(/same documents/);
});
