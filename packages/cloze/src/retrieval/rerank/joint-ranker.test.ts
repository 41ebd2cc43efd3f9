import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { scope } from "@cloze/tensor";
import { afterAll, expect, test } from "vitest";
import { wordModel, wordTokenizer } from "../../../test/tiny-models.js";
import { openReranker } from "../../cli/reranker-kinds.js";
import { createWarnings } from "../../data/readers/warnings.js";
import { extendSegments } from "../../training/extend-segments.js";
import { createJointRanker, type JointRankerOptions, jointGroups, rankJoint } from "./joint-ranker.js";
import { loadJointRanker, saveJointRanker } from "./joint-ranker-folder.js";
import { trainJointRanker } from "./train-joint-ranker.js";

const folder = mkdtempSync(join(tmpdir(), "cloze-joint-ranker-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const animals = ["cat", "dog", "bird", "fish"];
const tokenizer = wordTokenizer(`${animals.join(" ")} one two three the`);
const create = (more: JointRankerOptions = {}) =>
  createJointRanker(extendSegments(wordModel(tokenizer, { head: { type: "none" }, seed: 3 }), 4), tokenizer, {
    candidates: 3,
    blockTokens: 6,
    ...more,
  });
// Of each list, whose order changes, the fish is the answer.
const rows = animals.flatMap((query, i) =>
  [0, 1, 2].map((turn) => {
    const candidates = animals.map((_, j) => `the ${animals[(i + j * (turn === 1 ? 3 : 1) + turn) % 4]}`);
    return { query, candidates, labels: candidates.map((text) => Number(text === "the fish")) };
  }),
);

test("learns to rank lists that are longer than it reads at once; saved, loaded, and behind cloze rerank it is the same", async () => {
  const ranker = create();
  const before = rows.filter((row) => row.labels[rankJoint(ranker, row.query, row.candidates)[0].candidate] === 1);
  await trainJointRanker(ranker, rows, { steps: 200, learningRate: 3e-3, batchSize: 12 });
  const ranked = rows.map((row) => rankJoint(ranker, row.query, row.candidates));
  const right = rows.filter((row, i) => row.labels[ranked[i][0].candidate] === 1);
  expect(before.length).toBeLessThan(rows.length);
  expect(right.length).toBe(rows.length);
  for (const [i, list] of ranked.entries()) {
    expect(list.map(({ candidate }) => candidate).sort()).toEqual(rows[i].candidates.map((_, c) => c));
    expect(list.every(({ score }, place) => place === 0 || score <= list[place - 1].score)).toBe(true);
  }
  saveJointRanker(ranker, folder);
  const loaded = loadJointRanker(folder);
  expect(loaded.options).toEqual(ranker.options);
  expect(rankJoint(loaded, rows[0].query, rows[0].candidates)).toEqual(ranked[0]);
  const options = { rerankDepth: 10, rerankMode: "pointwise" as const, firstStageWeight: 0 };
  const opened = openReranker(folder, options, createWarnings());
  const stage = opened.stage(
    (id) => ({ text: rows[0].candidates[Number(id)] }),
    () => [],
  );
  const first = rows[0].candidates.map((_, i) => ({ id: String(i), score: -i }));
  const found = await stage.rerank(rows[0].query, first as never);
  expect(found.map(({ id }) => Number(id))).toEqual(ranked[0].map(({ candidate }) => candidate));
  opened.close();
  expect(() => openReranker(folder, { ...options, rerankMode: "pairwise" }, createWarnings())).toThrow(
    /joint reranker/,
  );
  ranker.dispose();
  loaded.dispose();
});

test.each(["ie-k", "ae-k", "re-k"] as const)("%s: candidates in passes of few tokens score as all at once", (kind) => {
  const ranker = create({ kind });
  const candidates = Array.from({ length: 11 }, (_, i) => `the ${animals[i % 4]} ${"one two ".repeat(i % 3)}`);
  let passes = 0;
  const counted = {
    options: ranker.options,
    logits: (...given: Parameters<typeof ranker.logits>) => {
      passes++;
      return ranker.logits(...given);
    },
  };
  const scores = [Number.MAX_SAFE_INTEGER, 8192, 48, 1].map((tokenBudget) => {
    const cut = new Set<number>();
    const onCut = (candidate: number) => cut.add(candidate);
    const found = rankJoint(counted, "cat", candidates, { tokenBudget, onCut });
    // Four tokens fit into a block of six, beside the two around them.
    expect([...cut].sort((a, b) => a - b)).toEqual([2, 5, 8]);
    return found.sort((a, b) => a.candidate - b.candidate).map(({ score }) => score);
  });
  // Four groups: all at once, twice; two of 24 tokens at a time; one by one.
  expect(passes).toBe(1 + 1 + 2 + 4);
  for (const one of scores) {
    for (const [i, score] of one.entries()) expect(score).toBeCloseTo(scores[0][i], 5);
  }
  expect(new Set(scores[0]).size).toBeGreaterThan(8);
  ranker.dispose();
});

test("documents that a joint reranker cuts are counted", async () => {
  const ranker = create();
  const place = join(folder, "cuts");
  saveJointRanker(ranker, place);
  ranker.dispose();
  const warnings = createWarnings();
  const options = { rerankDepth: 10, rerankMode: "pointwise" as const, firstStageWeight: 0 };
  const opened = openReranker(place, options, warnings);
  const texts = ["the cat", "one two three the cat", "the dog", "the one two three fish"];
  const stage = opened.stage(
    (id) => ({ text: texts[Number(id)] }),
    () => [],
  );
  await stage.rerank("cat", texts.map((_, i) => ({ id: String(i), score: -i })) as never);
  expect(warnings.list()).toMatchObject([{ code: "TEXT_CUT", count: 2, first: "1" }]);
  opened.close();
});

test("of the whole: one label for a query with its candidates", async () => {
  const ranker = create({ kind: "ae-1", labels: 3 });
  await trainJointRanker(ranker, [{ query: "cat", candidates: ["one", "two"], label: 2 }], {
    steps: 20,
    learningRate: 1e-2,
  });
  const [logits] = scope(() => ranker.logits([{ query: "cat", candidates: ["one", "two"] }]).toArray()) as number[][];
  expect(logits.indexOf(Math.max(...logits))).toBe(2);
  expect(() => rankJoint(ranker, "cat", ["one"])).toThrow(/single candidates/);
  ranker.dispose();
});

test("groups hold every candidate once; wrong labels and too many candidates are refused", () => {
  expect(jointGroups(7, 3)).toEqual([[0, 1, 2], [3, 4, 5], [6]]);
  expect(jointGroups(3, 2, (i) => 2 - i)).toEqual([[2, 1], [0]]);
  const ranker = create();
  expect(rankJoint(ranker, "cat", [])).toEqual([]);
  expect(() => trainJointRanker(ranker, [{ query: "cat", candidates: ["one"], labels: [1, 0] }])).toThrow(/labels/);
  expect(() => ranker.logits([{ query: "cat", candidates: ["one", "one", "one", "one"] }])).toThrow(/a few/);
  ranker.dispose();
});
