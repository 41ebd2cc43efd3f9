import { expect, test } from "vitest";
import { rankOf, summarizeRanks } from "../metrics/ranking.js";
import { Bm25Index } from "../retrieval/bm25.js";
import { buildReverseDictionary } from "./reverse-dictionary.js";
import { readWordNet, splitGloss } from "./wordnet.js";

test("a gloss splits into definition and examples", () => {
  expect(splitGloss('draw air; "breathe in"; "he breathed"')).toEqual({
    definition: "draw air",
    examples: ["breathe in", "he breathed"],
  });
});

test("the evaluation has 117,791 senses, repeats itself, leaks nothing, and BM25 finds what the pilot found", () => {
  const senses = readWordNet();
  expect(senses).toHaveLength(117_791);
  expect(senses[1].hypernyms).toEqual([0]);
  const evaluation = buildReverseDictionary(senses);
  expect(buildReverseDictionary(senses).heldOut).toEqual(evaluation.heldOut);
  expect(new Set(evaluation.heldOut).size).toBe(2000);
  const hidden = new Set(evaluation.heldOut);
  const queries = new Set(evaluation.queries);
  expect(evaluation.pairs.some((pair) => hidden.has(pair.sense) || queries.has(pair.query))).toBe(false);
  const started = performance.now();
  const index = new Bm25Index(evaluation.documents);
  const indexed = performance.now();
  const ranks = evaluation.queries.map((query, i) => rankOf(index.scores(query), evaluation.heldOut[i]));
  const summary = summarizeRanks(ranks);
  console.info(
    JSON.stringify({
      ...summary,
      indexMs: indexed - started,
      queryMs: (performance.now() - indexed) / 2000,
      pairs: evaluation.pairs.length,
    }),
  );
  expect(summary.recall[10]).toBeGreaterThan(0.2);
  expect(summary.recall[10]).toBeLessThan(0.3);
});
