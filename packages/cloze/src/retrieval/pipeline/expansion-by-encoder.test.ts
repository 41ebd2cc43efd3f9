import fc from "fast-check";
import { expect, test } from "vitest";
import { bertQeChunks, bertQeScores } from "./bert-qe.js";
import { ceqeWeights, mixQuery } from "./ceqe.js";

const terms = fc.array(fc.constantFrom("a", "b", "c", "d"), { minLength: 1, maxLength: 9 });
const scored = fc.array(fc.record({ score: fc.double({ min: -5, max: 5, noNaN: true }), terms }), {
  minLength: 1,
  maxLength: 4,
});
/** Any vector, but never all 0. */
const spread = (i: number) => [1, Math.sin(3 * i), Math.cos(7 * i)];

test("CEQE: equal cosines are RM1 with shares of words; weights of a centroid add up to 1", () => {
  fc.assert(
    fc.property(scored, (documents) => {
      const total = documents.reduce((sum, { score }) => sum + Math.exp(score), 0);
      const plain = new Map<string, number>();
      for (const { score, terms } of documents)
        for (const term of terms) plain.set(term, (plain.get(term) ?? 0) + Math.exp(score) / total / terms.length);
      const same = documents.map((document) => ({ ...document, vectors: document.terms.map(() => [2, 1]) }));
      for (const pooling of ["centroid", "max"] as const) {
        const found = ceqeWeights(
          [
            [1, 3],
            [1, 3],
          ],
          same,
          { pooling },
        );
        expect([...found.keys()].sort()).toEqual([...plain.keys()].sort());
        for (const [term, weight] of found) expect(weight).toBeCloseTo(plain.get(term) as number, 10);
      }
      const any = documents.map((document, d) => ({
        ...document,
        vectors: document.terms.map((_, i) => spread(5 * d + i)),
      }));
      const sum = [
        ...ceqeWeights(
          [
            [1, 0, 0],
            [1, 0.2, 0],
          ],
          any,
        ).values(),
      ].reduce((all, one) => all + one, 0);
      expect(sum).toBeCloseTo(1, 10);
    }),
  );
});

test("CEQE: words near the query weigh more; the product wants nearness to all of its words", () => {
  const document = {
    score: 1,
    terms: ["near", "far", "half", "cats"],
    vectors: [
      [1, 1],
      [-1, -1],
      [1, 0],
      [1, 1],
    ],
  };
  const query = [
    [1, 0],
    [0, 1],
  ];
  const weights = ceqeWeights(query, [document]);
  expect(weights.get("far")).toBe(0);
  expect(weights.get("near")).toBeCloseTo(1 / (2 + Math.SQRT1_2), 10);
  expect(ceqeWeights(query, [document], { pooling: "product" }).get("half")).toBe(0);
  expect(ceqeWeights(query, [document], { pooling: "max" }).get("half")).toBeGreaterThan(0);
  expect(ceqeWeights([], [document]).size).toBe(0);
  const stem = (term: string) => term.replace(/s$/, "");
  expect(Object.fromEntries(mixQuery(["cat"], weights, { terms: 1, stem }))).toEqual({ cat: 0.5, near: 0.5 });
  const few = mixQuery(["cat", "dog"], weights, { stem, skip: (term) => term !== "half", originalWeight: 0.75 });
  expect(Object.fromEntries(few)).toEqual({ cat: 0.375, dog: 0.375, half: 0.25 });
  expect(Object.fromEntries(mixQuery(["cat", "cat"], new Map()))).toEqual({ cat: 1 });
});

test("BERT-QE: weight 0 keeps the first scores, equal chunks count as their mean, chunks are the best ones", () => {
  const rel = (query: string, documents: readonly string[]) =>
    documents.map((text) => text.split(" ").filter((word) => query.split(" ").includes(word)).length);
  const documents = ["cat purrs loud and cat", "dog barks", "purrs and cat"];
  const first = rel("cat", documents);
  const chunks = bertQeChunks("cat", documents, rel, { words: 2, stride: 1, chunks: 3 });
  expect(chunks).toEqual([
    { text: "cat purrs", score: 1 },
    { text: "and cat", score: 1 },
    { text: "and cat", score: 1 },
  ]);
  expect([...bertQeScores(documents, first, chunks, rel, { chunkWeight: 0 })]).toEqual(first);
  const mean = documents.map(
    (_, d) => chunks.reduce((sum, { text }) => sum + rel(text, documents)[d], 0) / chunks.length,
  );
  bertQeScores(documents, first, chunks, rel, { chunkWeight: 1 }).forEach((score, d) => {
    expect(score).toBeCloseTo(mean[d], 10);
  });
  // Two chunks whose scores are log(3) apart weigh 3 to 1.
  const apart = [
    { text: "purrs", score: Math.log(3) },
    { text: "dog", score: 0 },
  ];
  const [one, two] = bertQeScores(documents, [0, 0, 0], apart, rel, { chunkWeight: 0.5 });
  expect(one).toBeCloseTo(0.5 * 0.75, 10);
  expect(two).toBeCloseTo(0.5 * 0.25, 10);
  expect(bertQeChunks("cat", documents, rel, { feedbackDocuments: 1, words: 2, stride: 1 })).toHaveLength(4);
  expect([...bertQeScores(documents, first, [], rel)]).toEqual(first);
});
