import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createWarnings } from "../../data/readers/warnings.js";
import { measureQueries, measureRun } from "./measures.js";
import { trecOrder } from "./ranking.js";
import { readRun, runLines } from "./run-file.js";

interface Fixture {
  qrels: Record<string, Record<string, number>>;
  run: Record<string, Record<string, number>>;
  expected: Record<string, { map: number; recip_rank: number; recall_100: number; ndcg_cut_10: number }>;
}

// Ties, grades from -1 to 3, a query that found nothing, one for which nothing is relevant; by pytrec_eval 0.5.
const fixture = JSON.parse(
  readFileSync(new URL("../../../test/fixtures/retrieval/trec-eval.json", import.meta.url), "utf8"),
) as Fixture;
const qrels = new Map(Object.entries(fixture.qrels).map(([id, judged]) => [id, new Map(Object.entries(judged))]));
const run = new Map(
  Object.entries(fixture.run).map(([id, scores]) => [
    id,
    Object.entries(scores).map(([document, score]) => ({ id: document, score })),
  ]),
);

test("every query scores what trec_eval gives it", () => {
  const ours = measureQueries(run, qrels);
  expect(ours.size).toBe(6);
  for (const [query, expected] of Object.entries(fixture.expected)) {
    const scores = ours.get(query);
    expect(scores?.["ndcg@10"]).toBeCloseTo(expected.ndcg_cut_10, 12);
    expect(scores?.map).toBeCloseTo(expected.map, 12);
    expect(scores?.["recall@100"]).toBeCloseTo(expected.recall_100, 12);
    expect(scores?.["mrr@10"]).toBeCloseTo(expected.recip_rank, 12);
  }
  // The query without a ranking counts as 0.
  const total = Object.values(fixture.expected).reduce((sum, { map }) => sum + map, 0);
  expect(measureRun(run, qrels).map).toBeCloseTo(total / 6, 12);
});

test("equal scores (as float32) go by id, descending; a document counts once", () => {
  const ranking = [
    { id: "a", score: 0.1 },
    { id: "b", score: 0.1 + 1e-12 },
    { id: "c", score: 0.5 },
    { id: "c", score: 0.05 },
  ];
  expect(trecOrder(ranking).map(({ id }) => id)).toEqual(["c", "b", "a"]);
});

test("a run goes out and in", async () => {
  const path = join(mkdtempSync(join(tmpdir(), "cloze-run-")), "run.trec");
  writeFileSync(path, [...runLines(new Map([["q 1", [{ id: "d", score: 1.25 }]]]))].join("").replace("\n", "\r\n"));
  const warnings = createWarnings();
  expect(await readRun(path, warnings)).toEqual(new Map([["q_1", [{ id: "d", score: 1.25 }]]]));
  writeFileSync(path, "q Q0 d 1 0.5 t\nq Q0 d 2 0.75 t\n");
  expect((await readRun(path, warnings)).get("q")).toEqual([{ id: "d", score: 0.75 }]);
  expect(warnings.list().map(({ code }) => code)).toEqual(["RUN_TWICE"]);
  writeFileSync(path, "q Q0 d 1 high t\n");
  await expect(readRun(path, warnings)).rejects.toMatchObject({ code: "RUN_ROW" });
});
