import { tensor } from "@cloze/tensor";
import { describe, expect, test } from "vitest";
import type { Embedder } from "../embedder.js";
import { findDuplicates, mineHardNegatives, semanticSplit } from "../mining/index.js";
import { nearestClasses } from "./classification.js";
import {
  bitextEvaluator,
  classificationEvaluator,
  clusteringEvaluator,
  kMeans,
  rerankingEvaluator,
  retrievalEvaluator,
  stsEvaluator,
} from "./index.js";

/** An embedder whose texts are the numbers of their vectors: "1 0 0.5". */
const numbers = {
  width: 2,
  embedAsync: async (texts: readonly string[]) =>
    tensor(Float32Array.from(texts.flatMap((text) => text.split(" ").slice(0, 2).map(Number))), [
      texts.length,
      2,
    ]).keep(),
} as unknown as Embedder;

describe("evaluators", () => {
  test("similarity: a monotone model has 1, a reversed one -1", async () => {
    const pairs = ["1 0", "1 0.2", "1 1", "0 1", "-1 0.1"].map((second, i) => ({ first: "2 0", second, score: 5 - i }));
    expect((await stsEvaluator(pairs).evaluate(numbers)).spearman).toBeCloseTo(1, 10);
    const reversed = pairs.map((pair, i) => ({ ...pair, score: i }));
    expect((await stsEvaluator(reversed).evaluate(numbers)).spearman).toBeCloseTo(-1, 10);
  });
  test("search: figures of a ranking known by hand", async () => {
    const documents = new Map([
      ["a", "1 0"],
      ["b", "1 0.5"],
      ["c", "0 1"],
    ]);
    const relevance = new Map([["q", new Map([["b", 1]])]]);
    const scores = await retrievalEvaluator({ queries: new Map([["q", "3 0"]]), documents, relevance }).evaluate(
      numbers,
    );
    expect(scores["mrr@10"]).toBe(0.5);
    expect(scores["ndcg@10"]).toBeCloseTo(1 / Math.log2(3), 6);
    expect(scores["recall@100"]).toBe(1);
    expect(scores.map).toBe(0.5);
  });
  test("reranking: a model that tells nothing apart gains nothing", async () => {
    const rows = [{ query: "1 0", positives: ["1 0"], negatives: ["1 0 x", "1 0 y", "1 0 z"] }];
    expect((await rerankingEvaluator(rows).evaluate(numbers)).map).toBe(0.25);
    const clear = [{ query: "1 0", positives: ["1 0.1"], negatives: ["0 1"] }];
    expect((await rerankingEvaluator(clear).evaluate(numbers)).map).toBe(1);
    const none = rerankingEvaluator([{ query: "1 0", positives: ["1 0"], negatives: [] }]);
    await expect(none.evaluate(numbers)).rejects.toThrow(expect.objectContaining({ code: "DATA_EMPTY" }));
  });
  const labelled = Array.from({ length: 24 }, (_, i) => ({
    text: i % 2 === 0 ? `1 ${i / 40} ${i}` : `${i / 40} 1 ${i}`,
    label: i % 2 === 0 ? "right" : "up",
  }));
  test("a probe: classes that a line parts; one that training lacks is missed", async () => {
    for (const options of [{ method: "logistic" }, { method: "knn", k: 3 }] as const) {
      const scores = await classificationEvaluator(labelled, labelled, options).evaluate(numbers);
      expect(scores).toEqual({ accuracy: 1, macroF1: 1 });
      const strange = [...labelled.slice(0, 3), { text: "-1 0", label: "left" }];
      expect((await classificationEvaluator(labelled, strange, options).evaluate(numbers)).accuracy).toBe(0.75);
    }
  });
  test("the nearest neighbour of a text is itself; ties go to the class of the nearest", () => {
    const points = Float32Array.from([1, 0, 0, 1, 0.6, 0.8, 0.8, 0.6]);
    expect(nearestClasses(points, [0, 1, 2, 3], points, 2, 1)).toEqual([0, 1, 2, 3]);
    expect(nearestClasses(points, [0, 1, 2, 3], Float32Array.from([0.6, 0.8]), 2, 4)).toEqual([2]);
  });
  test("clusters that lie apart are found", async () => {
    const scores = await clusteringEvaluator(labelled).evaluate(numbers);
    expect(scores.vMeasure).toBeCloseTo(1, 10);
    const points = Float32Array.from([0, 0, 0.1, 0, 5, 5, 5.1, 5, -9, 3, -9, 3.1]);
    const { assignment, inertia } = kMeans(points, 2, 3);
    expect(assignment[0] === assignment[1] && assignment[2] === assignment[3] && assignment[4] === assignment[5]).toBe(
      true,
    );
    expect(new Set(assignment).size).toBe(3);
    expect(inertia).toBeCloseTo(3 * 2 * 0.05 ** 2, 4);
    expect(() => kMeans(points, 2, 7)).toThrow(/1 to 6/);
  });
  test("translations: both ways", async () => {
    const pairs = [
      { source: "1 0", target: "1 0.1" },
      { source: "0 1", target: "0.1 1" },
      { source: "1 1", target: "1 0.05" },
    ];
    const { accuracy, reverseAccuracy, meanAccuracy } = await bitextEvaluator(pairs).evaluate(numbers);
    expect([accuracy, reverseAccuracy]).toEqual([1 / 3, 2 / 3]);
    expect(meanAccuracy).toBeCloseTo(0.5, 10);
  });
});

describe("mining", () => {
  const pairs = [
    { query: "1 0", document: "1 0.01" },
    { query: "1 0", document: "1 0.02" },
    { query: "0 1", document: "0.3 1" },
  ];
  const corpus = ["1 0.1", "1 0.3", "1 1", "0.01 1", "-1 0"];
  test("finds what an index finds, without what answers the query", async () => {
    const { pairs: mined, counts } = await mineHardNegatives(numbers, pairs, { corpus, negatives: 2 });
    expect(mined.map(({ negatives }) => negatives)).toEqual([
      ["1 0.1", "1 0.3"],
      ["1 0.1", "1 0.3"],
      ["0.01 1", "1 1"],
    ]);
    expect(counts).toMatchObject({ queries: 2, positives: 3, negatives: 6, shortPairs: 0 });
    expect(mined[0].scores.length).toBe(3);
    expect(mined[0].scores[0]).toBeCloseTo(1 / Math.hypot(1, 0.01), 5);
  });
  test("leaves out what comes too near, too far, or first", async () => {
    const find = async (options: object) =>
      (await mineHardNegatives(numbers, pairs, { corpus, negatives: 1, rangeMax: 8, ...options })).pairs.map(
        ({ negatives }) => negatives,
      );
    // Nearer than the answer: a false negative, by margin.
    expect((await find({ relativeMargin: 0.01 }))[2]).toEqual(["1 1"]);
    expect((await find({ absoluteMargin: 0.01 }))[0]).toEqual(["1 0.3"]);
    expect((await find({ maxScore: 0.9 }))[0]).toEqual(["1 1"]);
    expect((await find({ minScore: 0.999 }))[0]).toEqual([]);
    expect((await find({ rangeMin: 1 }))[0]).toEqual(["1 0.3"]);
    const drawn = await find({ sampling: "random", seed: 3 });
    expect(await find({ sampling: "random", seed: 3 })).toEqual(drawn);
  });
  test("goes by the scores of another model where one is given", async () => {
    const rescore = (_: string, documents: readonly string[]) => documents.map((text) => (text === "-1 0" ? 0.9 : 0.1));
    const { pairs: mined } = await mineHardNegatives(numbers, pairs, { corpus, negatives: 1, rangeMax: 8, rescore });
    expect(mined[0].negatives).toEqual(["-1 0"]);
    expect(mined[0].scores).toEqual([0.1, 0.9]);
  });
  test("duplicates stand behind the text that is kept", async () => {
    const texts = ["1 0", "0 1", "1 0.01", "1 0.3", "0 2", "1 0.31"];
    const { kept, duplicates } = await findDuplicates(numbers, texts, { threshold: 0.99 });
    expect(kept).toEqual([0, 1, 3]);
    expect(duplicates.map(({ index, of }) => [index, of])).toEqual([
      [2, 0],
      [4, 1],
      [5, 3],
    ]);
  });
  test("no text of one part is near to one of another", async () => {
    const texts = Array.from({ length: 60 }, (_, i) => {
      const angle = Math.floor(i / 3) * 0.3 + (i % 3) * 0.01;
      return `${Math.cos(angle)} ${Math.sin(angle)}`;
    });
    const {
      train,
      dev,
      test: held,
      groups,
    } = await semanticSplit(numbers, texts, {
      dev: 0.2,
      test: 0.2,
      threshold: Math.cos(0.05),
    });
    expect(groups).toBe(20);
    expect([...train, ...dev, ...held].sort((a, b) => a - b)).toEqual(texts.map((_, i) => i));
    expect([dev.length, held.length]).toEqual([12, 12]);
    const group = (i: number) => Math.floor(i / 3);
    for (const i of held) expect([...train, ...dev].some((j) => group(i) === group(j))).toBe(false);
    await expect(semanticSplit(numbers, texts, { dev: 0.7, test: 0.5 })).rejects.toThrow(/below 1/);
  });
});
