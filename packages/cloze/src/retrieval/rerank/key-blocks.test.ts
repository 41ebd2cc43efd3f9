import fc from "fast-check";
import { expect, test } from "vitest";
import { bestPlaces, bm25BlockScorer, cutBlocks, keyBlockEncoder, keyBlocks, selectAndScore } from "./key-blocks.js";
import { aggregatePassages } from "./passages.js";

const word = fc.constantFrom("cat", "dog.", "bird,", "stone", "the", "a!");
const text = fc.array(word, { maxLength: 60 }).map((words) => words.join(" "));
const collection = { documents: 100, frequency: (term: string) => (term === "the" ? 90 : 2) };
const bm25 = bm25BlockScorer(collection);

test("blocks hold every word once, none is too long, and sentences end them where they can", () => {
  fc.assert(
    fc.property(text, fc.integer({ min: 1, max: 12 }), (long, words) => {
      const blocks = cutBlocks(long, { words });
      expect(blocks.join(" ")).toBe(long);
      for (const block of blocks) expect(block.split(" ").length).toBeLessThanOrEqual(words);
    }),
  );
  expect(cutBlocks("a b. c d e. f g", { words: 5 })).toEqual(["a b. c d e.", "f g"]);
  expect(cutBlocks("a b. c d e f g", { words: 5 })).toEqual(["a b.", "c d e f g"]);
  expect(cutBlocks("a b c, d e f", { words: 4 })).toEqual(["a b c,", "d e f"]);
  expect(cutBlocks("")).toEqual([]);
  expect(() => cutBlocks("a", { words: 0 })).toThrow(/at least one word/);
});

test("key blocks: a document within the budget is itself; of others the best blocks, in their order", () => {
  fc.assert(
    fc.property(text, fc.integer({ min: 1, max: 60 }), (long, budget) => {
      const kept = keyBlocks("cat the", long, bm25, { words: 4, budget });
      const length = long.split(" ").length;
      if (length <= budget) expect(kept).toBe(long);
      else expect(kept.split(" ").length).toBeLessThanOrEqual(budget);
      let at = 0;
      for (const one of kept.split(" ")) at = long.indexOf(one, at) + 1;
      expect(kept === "" || at > 0).toBe(true);
    }),
  );
  const long = "the dog sleeps. a cat purrs. the stone lies. my cat ate. the bird sings.";
  expect(keyBlocks("cat", long, bm25, { words: 3, budget: 6 })).toBe("a cat purrs. my cat ate.");
  const model = {
    scorePairs: (_: string, documents: readonly string[]) => Float32Array.from(documents, ({ length }) => length),
  };
  const wrapped = keyBlockEncoder(model, bm25, { words: 3, budget: 6 });
  expect([...wrapped.scorePairs("cat", [long, "short"])]).toEqual([24, 5]);
});

test("passages that a cheap scorer chooses: all of them with weights 1 are SumP, one is the best of those read", () => {
  const passages = ["1", "-2", "5", "3"];
  const numbers = (_: string, all: readonly string[]) => all.map(Number);
  const opposite = (_: string, all: readonly string[]) => all.map((one) => -Number(one));
  const all = { count: 4, weights: [1, 1, 1, 1] };
  expect(selectAndScore("", passages, opposite, numbers, all)).toBe(aggregatePassages([1, -2, 5, 3], "sum"));
  expect(selectAndScore("", passages, opposite, numbers, { count: 2, weights: [1] })).toBe(1);
  expect(selectAndScore("", passages, numbers, numbers, { count: 2, weights: [2, 1, 7] })).toBe(13);
  expect(selectAndScore("", [], numbers, numbers)).toBe(0);
  expect(bestPlaces([1, 3, 3, 0], 2)).toEqual([1, 2]);
});
