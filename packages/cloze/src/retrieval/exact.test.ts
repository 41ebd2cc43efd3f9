import { tensor } from "@cloze/tensor";
import { expect, test } from "vitest";
import { randomSource } from "../data/random-source.js";
import { createExactIndex, stackVectors } from "./exact.js";

const random = randomSource(1);
const vectors = (count: number, width: number) =>
  Array.from({ length: count }, () => Float32Array.from({ length: width }, () => random() - 0.5));

test("finds what a loop over all documents finds", () => {
  const documents = vectors(301, 17);
  const queries = vectors(70, 17);
  const index = createExactIndex(stackVectors(documents));
  const hits = index.search(stackVectors(queries), 5);
  queries.forEach((query, q) => {
    const plain = documents
      .map((document, i) => ({ index: i, score: document.reduce((sum, value, c) => sum + value * query[c], 0) }))
      .sort((a, b) => b.score - a.score)
      .slice(0, 5);
    expect(hits[q].map((hit) => hit.index)).toEqual(plain.map((hit) => hit.index));
    expect(hits[q][0].score).toBeCloseTo(plain[0].score, 5);
  });
  const seen: number[] = [];
  index.forEachScores(stackVectors(queries), (q, scores) => {
    seen.push(q);
    expect(scores[hits[q][0].index]).toBeCloseTo(hits[q][0].score, 5);
  });
  expect(seen).toEqual(queries.map((_, q) => q));
  expect(index.scores(tensor(queries[3])).length).toBe(301);
  index.dispose();
});

test("a query of another length is refused", () => {
  const index = createExactIndex(stackVectors(vectors(3, 4)));
  expect(() => index.search(stackVectors(vectors(1, 5)), 1)).toThrow(/4 numbers/);
  index.dispose();
});
