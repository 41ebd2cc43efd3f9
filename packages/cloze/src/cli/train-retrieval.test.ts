// cloze train-retrieval, and what its parts do in cloze index, search, evaluate retrieval and rerank.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runCommand } from "../../test/run-command.js";
import { wordModel, wordTokenizer } from "../../test/tiny-models.js";
import { saveModel } from "../families/index.js";
import { loadParade } from "../retrieval/rerank/parade-folder.js";
import { rerankParade } from "../retrieval/rerank/rerankers.js";
import { openIndex } from "../retrieval/store/search-index.js";
import { loadTermReader, loadTermWeighter } from "../retrieval/term-weighting/term-weighter-folder.js";
import { addEvaluate } from "./evaluate.js";
import { addIndex } from "./index-documents.js";
import { addRerank } from "./rerank.js";
import { addSearch } from "./search.js";
import { addTrainRetrieval } from "./train-retrieval.js";

const folder = mkdtempSync(join(tmpdir(), "cloze-train-retrieval-"));
const path = (name: string) => join(folder, name);
const lines = (rows: readonly unknown[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join("");
// Which document answers a query, its first word says: what comes behind it says nothing.
const nouns = ["cat", "dog", "bird", "stone", "tree"];
const documents = nouns.map((noun, i) => ({ _id: `d${i}`, title: "", text: `${noun} with the ${nouns[(i + 1) % 5]}` }));
const code = (wanted: string) => expect.objectContaining({ code: wanted });

interface Trained {
  steps: number;
  loss: number;
  rows: number;
  queries: number;
}
interface Found {
  pipeline: string;
  results: { hits: { id: string; score: number }[] }[];
}
type Measured = Record<string, number | string>;
const train = (part: string, ...args: string[]) =>
  runCommand<Trained>(
    addTrainRetrieval,
    ...["train-retrieval", "--part", part, "--data", path("set"), "--model", path("model"), "--out", path(part)],
    ...args,
  );
const evaluate = (...args: string[]) =>
  runCommand<Measured>(addEvaluate, "evaluate", "retrieval", "--data", path("set"), ...args);
const ids = (found: Found) => found.results.map(({ hits }) => hits.map(({ id }) => id));
const runLines = (file: string) =>
  readFileSync(path(file), "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => line.split(" "))
    .map(([query, , id, , score]) => `${query} ${id} ${Number(score).toFixed(2)}`)
    .sort();

beforeAll(() => {
  mkdirSync(path("set/qrels"), { recursive: true });
  writeFileSync(path("set/corpus.jsonl"), lines(documents));
  const queries = nouns.map((text, i) => ({ _id: `q${i}`, text }));
  writeFileSync(path("set/queries.jsonl"), lines([...queries, { _id: "q9", text: "stone" }]));
  const judged = (ids: readonly number[]) =>
    ["query-id\tcorpus-id\tscore", ...ids.map((i) => `q${i}\td${i}\t1`), ""].join("\n");
  writeFileSync(path("set/qrels/train.tsv"), `${judged([0, 1, 2, 3])}q9\td77\t1\n`);
  writeFileSync(path("set/qrels/test.tsv"), judged([0, 1, 2, 3, 4]));
  const tokenizer = wordTokenizer(`with the ${nouns.join(" ")}`);
  const model = wordModel(tokenizer, { layers: 1 });
  saveModel(model, path("model"));
  tokenizer.save(path("model"));
  model.dispose();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.each(["deepimpact", "deepct"])("%s", (part) => {
  test("is trained, weighs documents in an index, and is searched by, on disk as in memory", async () => {
    const told = await train(part, "--steps", "60", "--learning-rate", "0.01", "--set", "stopWords=english");
    expect(told).toMatchObject({ steps: 60, queries: 4, rows: 4 });
    const made = await runCommand<Measured>(
      addIndex,
      ...["index", path("set/corpus.jsonl"), "--out", path(`${part}-index`), "--model", path(part)],
    );
    expect(made).toMatchObject({ documents: 5, warnings: [] });
    const search = (...args: string[]) => runCommand<Found>(addSearch, "search", path(`${part}-index`), ...args);
    const found = await search(...nouns, "the");
    expect(found.pipeline).toBe("term-weights");
    // It has learnt that the first word counts: of two documents that hold the query's word, the right one is first.
    expect(ids(found).map(([first]) => first)).toEqual(["d0", "d1", "d2", "d3", "d4", undefined]);
    const measured = await evaluate("--model", path(part), "--run", path(`${part}.trec`));
    expect(measured).toMatchObject({ pipeline: "term-weights", "mrr@10": 1 });
    const lines = readFileSync(path(`${part}.trec`), "utf8")
      .trimEnd()
      .split("\n");
    for (const [query, , id, , score] of lines.map((line) => line.split(" "))) {
      const hit = found.results[Number(query.slice(1))].hits.find((one) => one.id === id);
      // An index keeps weights in steps of 0.001.
      expect(Math.abs((hit?.score as number) - Number(score)), `${query} ${id}`).toBeLessThan(0.001);
    }
    expect(lines).toHaveLength(found.results.reduce((sum, { hits }) => sum + hits.length, 0));
    expect((await search("cat", "--pipeline", "bm25")).results[0].hits).toHaveLength(2);
    await expect(search("cat", "--pipeline", "splade")).rejects.toEqual(code("INDEX_NO_WEIGHTS"));
    await expect(search("cat", "--model", path("model"))).rejects.toEqual(code("INDEX_MODEL"));
  });

  test("queries are read without the model as with it", () => {
    const [reader, weighter] = [loadTermReader(path(part)), loadTermWeighter(path(part))];
    const query = "Cat, the cat; with a stone";
    expect(weighter.encode([query], { role: "query" })).toEqual([reader.weights(query)]);
    expect([...reader.weights(query)]).toEqual([
      ["cat", 2],
      ["stone", 1],
    ]);
    const counts = { truncatedTexts: 0 };
    const [long] = weighter.encode([`${"cat ".repeat(40)}stone`], { counts });
    expect([counts.truncatedTexts, long.has("stone")]).toEqual([1, false]);
    weighter.dispose();
  });
});

test("an index of words refuses numbers, and what is damaged is told", () => {
  const index = openIndex(path("deepimpact-index"));
  const numbers = { terms: Uint32Array.of(1), weights: Float32Array.of(1) };
  expect(() => index.searchWeights([numbers], { depth: 1 })).toThrow(code("INDEX_TERMS"));
  index.close();
  mkdirSync(path("damaged"));
  writeFileSync(path("damaged/term-weighter.json"), '{"type": "deepwater"}');
  expect(() => loadTermWeighter(path("damaged"))).toThrow(code("TERM_WEIGHTER_FILE"));
});

test("PARADE is trained, and reorders a run, texts and what an evaluation found", async () => {
  const shape = ["--set", "aggregation=max", "--set", "words=2", "--set", "stride=1", "--set", "maxLength=16"];
  expect(await train("parade", ...shape, "--epochs", "40", "--learning-rate", "0.01", "--others", "1")).toMatchObject({
    queries: 4,
    rows: 8,
  });
  await evaluate("--run", path("first.trec"));
  const rerank = (...args: string[]) =>
    runCommand<{ results: { index: number; score: number }[] } & Measured>(
      addRerank,
      ...["rerank", "--model", path("parade"), ...args],
    );
  const run = ["--data", path("set"), "--run", path("first.trec")];
  const measured = await rerank(...run, "--out", path("second.trec"));
  expect(await evaluate("--rerank", path("parade"))).toMatchObject({ "ndcg@10": measured["ndcg@10"] });
  const parade = loadParade(path("parade"));
  const texts = new Map(documents.map((document) => [document._id, document]));
  const stage = rerankParade(parade, (id) => texts.get(id));
  const before = [
    { id: "d0", score: 2 },
    { id: "d4", score: 1 },
  ];
  const expected = (await stage.rerank("cat", before)).map(({ id, score }) => `q0 ${id} ${score.toFixed(2)}`);
  expect(runLines("second.trec").filter((line) => line.startsWith("q0"))).toEqual(expected.sort());
  const scores = parade.score("cat", [documents[0], documents[4]]);
  const asked = await rerank("--query", "cat", documents[0].text, documents[4].text);
  for (const { index, score } of asked.results) expect(score).toBeCloseTo(scores[index], 4);
  // The same as the last stage of a search in an index.
  await runCommand(addIndex, "index", path("set/corpus.jsonl"), "--out", path("words"));
  const search = (...args: string[]) => runCommand<Found>(addSearch, "search", path("words"), "cat", ...args);
  const plain = (await search()).results[0].hits;
  const { results } = await search("--rerank", path("parade"));
  const again = await stage.rerank("cat", plain);
  expect(results[0].hits.map(({ id }) => id)).toEqual(again.map(({ id }) => id));
  results[0].hits.forEach(({ score }, place) => {
    expect(score).toBeCloseTo(again[place].score, 4);
  });
  expect((await search("--rerank", path("parade"), "--top", "1")).results[0].hits.map(({ id }) => id)).toEqual([
    again[0].id,
  ]);
  // What is behind the depth of the reranker stays behind.
  const shallow = await search("--rerank", path("parade"), "--rerank-depth", "1");
  expect(shallow.results[0].hits.map(({ id }) => id)).toEqual(plain.map(({ id }) => id));
  await expect(search("--rerank", path("parade"), "--passages", "max")).rejects.toEqual(code("OPTION_CONFLICT"));
  parade.dispose();
  const weighed = await rerank(...run, "--choose-weight");
  expect(weighed.firstStageWeight).toBeGreaterThanOrEqual(0);
  await expect(rerank(...run, "--passages", "max")).rejects.toEqual(code("OPTION_CONFLICT"));
  await expect(rerank(...run, "--rerank-mode", "pairwise")).rejects.toEqual(code("OPTION_CONFLICT"));
  // Training goes on with what was trained, which has its options.
  const more = ["--model", path("parade"), "--out", path("parade-more"), "--steps", "1"];
  expect(await train("parade", ...more)).toMatchObject({ steps: 1 });
  expect(readFileSync(path("parade-more/parade.json"), "utf8")).toBe(readFileSync(path("parade/parade.json"), "utf8"));
  await expect(train("parade", ...more, ...shape)).rejects.toEqual(code("PART_OPTIONS"));
});

test("what is missing or wrong is told before anything is trained", async () => {
  await expect(train("parade")).rejects.toEqual(code("TRAINING_LENGTH"));
  await expect(train("parade", "--steps", "1", "--set", "aggregation=best")).rejects.toEqual(code("PART_OPTIONS"));
  await expect(train("deepct", "--steps", "1", "--split", "dev")).rejects.toEqual(code("COLLECTION_SPLIT"));
  await expect(train("deepwater", "--steps", "1")).rejects.toEqual(code("commander.invalidArgument"));
  await expect(evaluate("--model", path("model"), "--pipeline", "term-weights")).rejects.toEqual(code("ENCODER_KIND"));
  expect(existsSync(path("deepwater"))).toBe(false);
});
