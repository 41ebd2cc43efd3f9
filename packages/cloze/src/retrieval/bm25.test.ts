import fc from "fast-check";
import { expect, test } from "vitest";
import { fuseScores, rankOf, standardizeScores, summarizeRanks } from "../metrics/ranking.js";
import { Bm25Index } from "./bm25.js";
import { topScores } from "./top-scores.js";

test("BM25 equals its formula and ranks the rarer word first", () => {
  const index = new Bm25Index(["a cat", "a dog a dog", "a"]);
  const inverse = Math.log(1 + 2.5 / 1.5);
  const lengthPart = 1.2 * (0.25 + (0.75 * 2) / (7 / 3));
  expect(index.scores("CAT")[0]).toBeCloseTo((inverse * 2.2) / (1 + lengthPart), 5);
  expect(index.search("a cat", 2)[0].index).toBe(0);
  expect(index.search("unseen", 5)).toEqual([]);
  expect(new Bm25Index([]).search("a", 1)).toEqual([]);
});

test("leaving common words out finds what scoring every document finds, to the last bit", () => {
  // Words whose frequencies fall as in texts, so that common ones are left out.
  const word = fc.integer({ min: 1, max: 1000 }).map((draw) => `w${Math.floor(20 / Math.sqrt(draw))}`);
  const documents = fc.array(
    fc.array(word, { minLength: 1, maxLength: 8 }).map((words) => words.join(" ")),
    { minLength: 1, maxLength: 60 },
  );
  fc.assert(
    fc.property(documents, fc.array(word, { maxLength: 5 }), fc.integer({ min: 1, max: 8 }), (texts, query, k) => {
      const index = new Bm25Index(texts);
      const words = query.join(" ");
      expect(index.search(words, k)).toEqual(topScores(index.scores(words), k, { floor: 0 }));
      expect(index.search(words, k)).toEqual(index.search(words, k));
    }),
    { numRuns: 300 },
  );
  const index = new Bm25Index([
    ...Array.from({ length: 400 }, (_, i) => `the a of ${i % 7}`),
    "the rare one",
    "rare the a of",
  ]);
  for (const k of [1, 2, 3, 300])
    expect(index.search("rare the a of", k)).toEqual(topScores(index.scores("rare the a of"), k, { floor: 0 }));
});

test("ties share their ranks; recall, reciprocal rank and fusion", () => {
  expect(rankOf([1, 3, 3, 0], 1)).toBe(1.5);
  expect(() => rankOf([1], 4)).toThrow(/finite/);
  expect(summarizeRanks([1, 4], [1, 10])).toEqual({ recall: { 1: 0.5, 10: 1 }, meanReciprocalRank: 0.625 });
  expect([...standardizeScores([2, 2])]).toEqual([0, 0]);
  expect([...fuseScores([1, -1], [-1, 1], 0.5)]).toEqual([0.5, -0.5]);
  expect(() => fuseScores([1], [1, 2], 1)).toThrow(/same documents/);
});
