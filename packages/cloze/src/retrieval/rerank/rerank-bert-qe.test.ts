import { expect, test } from "vitest";
import type { CrossEncoder } from "./cross-encoder.js";
import { rerankBertQe } from "./rerank-bert-qe.js";
import { rerankPointwise } from "./rerankers.js";

/** Words in common, less two. */
const counting: Pick<CrossEncoder, "scorePairs"> = {
  scorePairs(query, documents) {
    const asked = new Set(query.split(" "));
    return Float32Array.from(documents, (text) => new Set(text.split(" ").filter((word) => asked.has(word))).size - 2);
  },
};
const texts = new Map([
  ["a", { text: "dog barks at the moon" }],
  ["b", { text: "purrs all day" }],
  ["c", { text: "cat purrs loud" }],
  ["d", { title: "cat", text: "asleep" }],
]);
const textOf = (id: string) => texts.get(id);
const ranking = ["a", "b", "c", "d"].map((id, i) => ({ id, score: 4 - i }));
const order = (found: readonly { id: string }[]) => found.map(({ id }) => id).join("");

test("without weight of chunks BERT-QE keeps the order of its first phase", async () => {
  const plain = rerankPointwise({ ...counting, scoreDuels: () => new Float32Array() }, textOf);
  const expected = order(await plain.rerank("cat purrs", ranking));
  expect(order(await rerankBertQe(counting, textOf, { chunkWeight: 0 }).rerank("cat purrs", ranking))).toBe(expected);
});

test("what the best chunks hold lifts documents that lack the query's words", async () => {
  const alone = await rerankBertQe(counting, textOf, { chunkWeight: 0 }).rerank("cat", ranking);
  expect(order(alone)).toBe("cdab");
  const options = { chunkWeight: 0.9, chunks: 1, feedbackDocuments: 1 };
  expect(order(await rerankBertQe(counting, textOf, options).rerank("cat", ranking))).toBe("cdba");
  expect(order(await rerankBertQe(counting, textOf, { ...options, firstStageWeight: 1 }).rerank("cat", ranking))).toBe(
    "abcd",
  );
  expect(order(await rerankBertQe(counting, textOf, { ...options, depth: 2 }).rerank("cat", ranking))).toMatch(/cd$/);
  expect(await rerankBertQe(counting, textOf).rerank("cat", [])).toEqual([]);
});

test("each phase has the model that it is given, and chunks may be weighed by logits", async () => {
  const asked: string[] = [];
  const named = (name: string): Pick<CrossEncoder, "scorePairs"> => ({
    scorePairs(query, documents) {
      asked.push(name);
      return counting.scorePairs(query, documents).map((score) => 4 * score);
    },
  });
  const of = (chunkWeights?: "logits") =>
    rerankBertQe(named("1"), textOf, {
      chunkModel: named("2"),
      documentModel: named("3"),
      chunks: 2,
      words: 1,
      stride: 1,
      chunkWeight: 1,
      chunkWeights,
    }).rerank("cat", ranking);
  const [flat, sharp] = [await of(), await of("logits")];
  expect(asked).toEqual(["1", "2", "3", "3", "1", "2", "3", "3"]);
  // "d" holds the better one of two chunks: half of the weight, or nearly all of it.
  const scoreOf = (found: readonly { id: string; score: number }[]) => found.find(({ id }) => id === "d")?.score ?? 0;
  expect(scoreOf(sharp)).toBeGreaterThan(scoreOf(flat) + 0.5);
});
