import { expect, test } from "vitest";
import { uniformEncoder } from "../../encoder/config.js";
import { createModel } from "../../families/index.js";
import { plannedForward } from "../../inference/planned-forward.js";
import { predictRows, type TaskModel, taskOf } from "../../tasks/index.js";
import { trainWordPiece } from "../../text/index.js";
import { type CrossEncoder, crossEncoder } from "./cross-encoder.js";
import { aggregatePassages, cutPassages } from "./passages.js";
import { rerankPairwise, rerankPointwise } from "./rerankers.js";

const words = ["cat", "dog", "bird", "stone", "the", "a"];
const tokenizer = trainWordPiece([...words, ...words], { vocabularySize: 80, minFrequency: 1 });
function toyModel(name: "ranking" | "classification", settings: unknown): TaskModel<unknown, unknown, unknown> {
  const task = taskOf(name);
  const config = uniformEncoder({
    vocabularySize: tokenizer.vocabularySize,
    hiddenSize: 16,
    layers: 2,
    heads: 2,
    maxPositions: 32,
  });
  return { task, settings, model: createModel({ ...task.head(settings), config, seed: 3 }), tokenizer, maxLength: 24 };
}

/** Scores that are known: how often the document says what the query says. */
const counting: CrossEncoder = {
  scorePairs: (query, documents) => Float32Array.from(documents, (text) => text.split(query).length - 1),
  scoreDuels: (query, documents, pairs) =>
    Float32Array.from(pairs, ([a, b]) => {
      const count = (text: string) => text.split(query).length;
      return count(documents[a]) > count(documents[b]) ? 0.9 : 0.1;
    }),
};
const texts = new Map([
  ["a", { text: "cat" }],
  ["b", { text: "dog dog cat cat" }],
  ["c", { title: "cat", text: "cat cat" }],
  ["d", { text: "cat cat cat cat cat" }],
]);
const ranking = ["a", "b", "c", "d"].map((id, i) => ({ id, score: 4 - i }));
const ids = (hits: readonly { id: string }[]) => hits.map(({ id }) => id).join("");

test("pointwise and pairwise put the first documents into a new order", async () => {
  const textOf = (id: string) => texts.get(id);
  expect(ids(await rerankPointwise(counting, textOf).rerank("cat", ranking))).toBe("dcba");
  const part = await rerankPointwise(counting, textOf, { depth: 3 }).rerank("cat", ranking);
  expect(ids(part)).toBe("cbad");
  expect(part.every(({ score }, i) => i === 0 || score < part[i - 1].score)).toBe(true);
  expect(ids(await rerankPointwise(counting, textOf, { firstStageWeight: 0.9 }).rerank("cat", ranking))).toBe("abcd");
  for (const aggregation of ["sum", "binary", "min"] as const)
    expect(ids(await rerankPairwise(counting, textOf, { aggregation, depth: 4 }).rerank("cat", ranking))[0]).toBe("d");
  expect(ids(await rerankPairwise(counting, () => undefined).rerank("cat", ranking))).toHaveLength(4);
  expect(await rerankPointwise(counting, textOf).rerank("cat", [])).toEqual([]);
});

test("passages: windows that overlap, and what their scores become", async () => {
  expect(cutPassages("1 2 3 4 5 6 7", { words: 4, stride: 2 })).toEqual(["1 2 3 4", "3 4 5 6", "5 6 7"]);
  expect(cutPassages("1 2\n3", { words: 3 })).toEqual(["1 2\n3"]);
  expect(cutPassages("")).toEqual([""]);
  expect(cutPassages("1 2 3 4 5 6 7 8", { words: 2, stride: 2, most: 3 })).toEqual(["1 2", "3 4", "7 8"]);
  const scores = [1, 3, 2];
  expect((["first", "max", "sum", { top: 2 }] as const).map((one) => aggregatePassages(scores, one))).toEqual([
    1, 3, 6, 5,
  ]);
  const long = new Map([
    ["a", { text: "cat dog dog dog dog dog" }],
    ["b", { text: "dog dog dog dog cat cat" }],
  ]);
  const two = ["a", "b"].map((id) => ({ id, score: 1 }));
  const by = async (aggregation: "first" | "max") =>
    ids(await rerankPointwise(counting, (id) => long.get(id), { aggregation, words: 2, stride: 2 }).rerank("cat", two));
  expect([await by("first"), await by("max")]).toEqual(["ab", "ba"]);
});

test("a model's scores are those of its task, through a plan or not", async () => {
  const documents = ["cat", "dog bird the stone", "a stone a stone a stone a stone a stone a stone a stone a stone"];
  const rank = toyModel("ranking", { loss: "pointwise" });
  const scores = crossEncoder(rank, { tokenBudget: 20 }).scorePairs("the cat", documents);
  for await (const { prediction } of predictRows(rank, [{ query: "the cat", candidates: documents, row: 1 }])) {
    for (const { candidate, score } of (prediction as { ranked: { candidate: number; score: number }[] }).ranked)
      expect(scores[candidate]).toBeCloseTo(score, 5);
  }
  const planned = plannedForward(rank.model);
  const fast = crossEncoder({ ...rank, forward: planned.forward }).scorePairs("the cat", documents);
  for (const [i, score] of fast.entries()) expect(score).toBeCloseTo(scores[i], 4);
  const classes = toyModel("classification", { names: ["0", "1"] });
  const logs = crossEncoder(classes).scorePairs("the cat", documents);
  for await (const { row, prediction } of predictRows(
    classes,
    documents.map((pair, row) => ({ text: "the cat", pair, row })),
  )) {
    expect(Math.exp(logs[(row as { row: number }).row])).toBeCloseTo(
      (prediction as { scores: Record<string, number> }).scores[1],
      5,
    );
  }
  const duels = crossEncoder(classes).scoreDuels("cat", documents, [
    [0, 1],
    [1, 2],
    [2, 1],
  ]);
  expect([...duels].every((win) => win > 0 && win < 1)).toBe(true);
  expect(crossEncoder(classes, { tokenBudget: 1 }).scoreDuels("cat", documents, [[1, 2]])[0]).toBeCloseTo(duels[1], 5);
  expect(() => crossEncoder(toyModel("classification", { names: ["x", "y"] }))).toThrow(/relevant/);
  expect(() => crossEncoder({ ...rank, task: taskOf("regression") })).toThrow(/ranking/);
});
