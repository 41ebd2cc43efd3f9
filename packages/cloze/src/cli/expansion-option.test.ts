// --expand of cloze search and cloze evaluate retrieval.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runCommand } from "../../test/run-command.js";
import { wordModel, wordTokenizer } from "../../test/tiny-models.js";
import { createEmbedder } from "../embedding/embedder.js";
import { saveEmbedder } from "../embedding/sentence-transformers.js";
import { loadModel } from "../families/index.js";
import { Bm25Index } from "../retrieval/bm25.js";
import { ceqeRetriever, rm3Retriever } from "../retrieval/pipeline/expanding-retrievers.js";
import type { Retriever } from "../retrieval/pipeline/retriever.js";
import { loadTokenizer } from "../text/index.js";
import { addEvaluate } from "./evaluate.js";
import { addIndex } from "./index-documents.js";
import { addSearch } from "./search.js";

const folder = mkdtempSync(join(tmpdir(), "cloze-expand-"));
const path = (name: string) => join(folder, name);
const lines = (rows: readonly unknown[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join("");
const texts = ["cat purrs on stone", "cat purrs", "purrs and sleeps", "dog barks", "bird sings on stone"];
const ids = texts.map((_, i) => `d${i}`);
const queries = ["cat", "dog", "nothing"];
const memory = new Bm25Index(texts);

interface Found {
  results: { hits: { id: string; score: number }[] }[];
  expansion?: string;
}
const search = (...args: string[]) => runCommand<Found>(addSearch, "search", path("index"), ...args);
const evaluate = (...args: string[]) =>
  runCommand<Record<string, number | string>>(addEvaluate, "evaluate", "retrieval", "--data", path("set"), ...args);

beforeAll(async () => {
  mkdirSync(path("set/qrels"), { recursive: true });
  writeFileSync(path("set/corpus.jsonl"), lines(texts.map((text, i) => ({ _id: ids[i], text }))));
  writeFileSync(path("set/queries.jsonl"), lines(queries.map((text, i) => ({ _id: `q${i}`, text }))));
  writeFileSync(path("set/qrels/test.tsv"), "query-id\tcorpus-id\tscore\nq0\td2\t1\nq1\td3\t1\nq2\td4\t1\n");
  const tokenizer = wordTokenizer(texts.join(" "), 120);
  const embedder = createEmbedder(wordModel(tokenizer, { layers: 2 }), tokenizer);
  saveEmbedder(embedder, path("model"));
  embedder.dispose();
  await runCommand(addIndex, "index", path("set/corpus.jsonl"), "--out", path("index"), "--model", path("model"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What the library finds, as a run of `cloze evaluate retrieval`: ids with scores. */
async function expected(retriever: Retriever): Promise<string[]> {
  const rankings = await retriever.search(queries, { depth: 1000 });
  return rankings.flatMap((ranking, q) => ranking.map(({ id, score }) => `q${q} ${id} ${score.toFixed(4)}`)).sort();
}
const runLines = (file: string) =>
  readFileSync(path(file), "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => {
      const [query, , id, , score] = line.split(" ");
      return `${query} ${id} ${Number(score).toFixed(4)}`;
    })
    .sort();

const rm3 = ["--expand", "rm3", "--set", "mostFrequent=1", "--set", "feedbackDocuments=2"];
const ceqe = ["--expand", "ceqe", "--set", "terms=2"];

test("RM3 finds by the command what it finds in the library, in memory and in an index", async () => {
  const library = rm3Retriever(memory, ids, (d) => texts[d], { mostFrequent: 1, feedbackDocuments: 2 });
  const plain = await evaluate();
  expect(await evaluate(...rm3, "--run", path("rm3.trec"))).toMatchObject({ pipeline: "bm25", expansion: "rm3" });
  expect(runLines("rm3.trec")).toEqual(await expected(library));
  // The document without a word of the query is found by way of those that have it.
  expect((await evaluate(...rm3))["recall@100"]).toBeGreaterThan(plain["recall@100"] as number);
  const { results, expansion } = await search(...queries, "--pipeline", "bm25", ...rm3);
  expect(expansion).toBe("rm3");
  const there = results.flatMap(({ hits }, q) => hits.map(({ id, score }) => `q${q} ${id} ${score.toFixed(4)}`));
  expect(there.sort()).toEqual(await expected(library));
});

test("CEQE reads with the encoder that is named", async () => {
  const encoder = { model: loadModel(path("model")), tokenizer: loadTokenizer(path("model")) };
  const library = ceqeRetriever(memory, ids, (d) => texts[d], encoder, { terms: 2 });
  await evaluate(...ceqe, "--expand-model", path("model"), "--run", path("ceqe.trec"));
  expect(runLines("ceqe.trec")).toEqual(await expected(library));
  const { results } = await search("cat", "--pipeline", "bm25", ...ceqe, "--expand-model", path("model"));
  const [first] = await library.search(["cat"], { depth: 10 });
  expect(results[0].hits.map(({ id }) => id)).toEqual(first.map(({ id }) => id));
  encoder.model.dispose();
});

test("hybrid search expands the part that looks at words", async () => {
  const words = ["cat", "--weights", "1,0"];
  const [alone, expanded] = [await search(...words), await search(...words, ...rm3)];
  const [bm25] = (await search("cat", "--pipeline", "bm25", ...rm3)).results;
  const three = ({ hits }: Found["results"][number]) => hits.slice(0, 3).map(({ id }) => id);
  expect(three(expanded.results[0])).toEqual(three(bm25));
  expect(three(alone.results[0])).not.toEqual(three(bm25));
  expect(await evaluate("--model", path("model"), "--pipeline", "hybrid", ...rm3)).toMatchObject({ expansion: "rm3" });
});

test("what does not fit together is refused", async () => {
  const refused = async (code: string, ...args: string[]) =>
    await expect(search("cat", ...args)).rejects.toMatchObject({ code });
  await refused("OPTION_CONFLICT", "--pipeline", "dense", "--expand", "rm3");
  await refused("OPTION_CONFLICT", "--set", "feedbackTerms=3");
  await refused("OPTION_CONFLICT", "--expand", "rm3", "--expand-model", path("model"));
  await refused("OPTION_MISSING", "--expand", "ceqe");
  await refused("EXPANSION_OPTIONS", "--expand", "rm3", "--set", "feedbackTerms=few");
  await refused("EXPANSION_OPTIONS", "--expand", "rm3", "--set", "terms=3");
  await refused("commander.invalidArgument", "--expand", "rm4");
  await evaluate("--run", path("plain.trec"));
  await expect(evaluate("--read-run", path("plain.trec"), "--expand", "rm3")).rejects.toMatchObject({
    code: "OPTION_CONFLICT",
  });
});
