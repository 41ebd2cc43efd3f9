import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { createEmbedder } from "../embedding/embedder.js";
import { loadEmbedder, saveEmbedder } from "../embedding/sentence-transformers.js";
import { uniformEncoder } from "../encoder/config.js";
import { createModel } from "../families/index.js";
import { Bm25Index } from "../retrieval/bm25.js";
import { bm25BlockScorer, keyBlocks } from "../retrieval/rerank/key-blocks.js";
import { saveTaskModel, taskOf } from "../tasks/index.js";
import { loadTokenizer, trainWordPiece } from "../text/index.js";
import { addEvaluate } from "./evaluate.js";
import { filterOption } from "./filter-option.js";
import { addIndex } from "./index-documents.js";
import { addRerank } from "./rerank.js";
import { addSearch } from "./search.js";

const folder = mkdtempSync(join(tmpdir(), "cloze-retrieval-"));
const path = (name: string) => join(folder, name);
const lines = (rows: readonly unknown[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join("");
const nouns = ["cat", "dog", "bird", "stone", "river", "tree"];

beforeAll(() => {
  mkdirSync(path("set/qrels"), { recursive: true });
  const corpus = nouns.map((noun, i) => ({
    _id: `d${i}`,
    title: i % 2 === 0 ? noun : undefined,
    text: `a ${noun} here`,
    year: 2000 + i,
  }));
  writeFileSync(path("set/corpus.jsonl"), lines(corpus));
  writeFileSync(path("set/queries.jsonl"), lines(nouns.map((noun, i) => ({ _id: i, text: `the ${noun}` }))));
  writeFileSync(path("set/qrels/test.tsv"), "query-id\tcorpus-id\tscore\n0\td0\t1\n1\td1\t1\n2\td9\t1\n9\td1\t1\n");
  writeFileSync(path("set/qrels/train.tsv"), "query-id\tcorpus-id\tscore\n3\td3\t1\n4\td4\t2\n");
  const tokenizer = trainWordPiece(["a the here", ...nouns, ...nouns], { vocabularySize: 80, minFrequency: 1 });
  for (const [name, seed] of [
    ["model", 1],
    ["other", 2],
  ] as const) {
    const config = uniformEncoder({
      vocabularySize: tokenizer.vocabularySize,
      hiddenSize: 16,
      layers: 1,
      heads: 2,
      maxPositions: 16,
    });
    const model = createModel({ architecture: "Model", config, head: { type: "none" }, seed });
    const embedder = createEmbedder(model, tokenizer);
    saveEmbedder(embedder, path(name));
    embedder.dispose();
  }
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(() => {
  process.exitCode = undefined;
  vi.restoreAllMocks();
});

/** What a command prints with --json. */
// biome-ignore lint/suspicious/noExplicitAny: the shape is what each test looks at.
async function run(...args: string[]): Promise<any> {
  let output = "";
  vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    output += text;
    return true;
  });
  vi.spyOn(process.stderr, "write").mockImplementation(() => true);
  const program = new Command().exitOverride();
  for (const add of [addEvaluate, addIndex, addSearch, addRerank]) add(program);
  const leaves = (command: Command): Command[] =>
    command.commands.length === 0 ? [command] : command.commands.flatMap(leaves);
  for (const leaf of leaves(program)) leaf.option("--json").option("--quiet").exitOverride();
  await program.parseAsync([...args, "--json"], { from: "user" });
  vi.restoreAllMocks();
  return JSON.parse(output);
}

test("evaluate retrieval: BM25, its run, its warnings", async () => {
  const result = await run("evaluate", "retrieval", "--data", path("set"), "--run", path("run.trec"));
  // Two of three queries find their document first; that of the third does not exist, and the fourth query neither.
  expect(result).toMatchObject({ queries: 3, documents: 6, pipeline: "bm25", split: "test" });
  for (const name of ["ndcg@10", "recall@100", "mrr@10", "map"]) expect(result[name]).toBeCloseTo(2 / 3, 10);
  expect(result.warnings.map(({ code, count }: { code: string; count: number }) => [code, count])).toEqual([
    ["QRELS_QUERY_UNKNOWN", 1],
    ["QRELS_DOCUMENT_UNKNOWN", 1],
  ]);
  expect(readFileSync(path("run.trec"), "utf8")).toMatch(/^0 Q0 d0 1 [\d.]+ cloze-bm25\n1 Q0 d1 1 /);
  const again = await run("evaluate", "retrieval", "--data", path("set"), "--read-run", path("run.trec"));
  expect(again["ndcg@10"]).toBe(result["ndcg@10"]);
});

test("evaluate retrieval: dense, and hybrid with weights chosen on training queries", async () => {
  const data = ["--data", path("set"), "--model", path("model")];
  expect(await run("evaluate", "retrieval", ...data)).toMatchObject({ queries: 3, pipeline: "dense" });
  const hybrid = await run("evaluate", "retrieval", ...data, "--pipeline", "hybrid");
  expect(hybrid).toMatchObject({ weightsChosenOn: "train", weightsChosenBy: 2 });
  const drawn = await run("evaluate", "retrieval", ...data, "--pipeline", "hybrid", "--weight-queries", "1");
  expect(drawn).toMatchObject({ weightsChosenOn: "train", weightsChosenBy: 1 });
  expect(hybrid.weights[0] + hybrid.weights[1]).toBeCloseTo(1, 10);
  const told = await run("evaluate", "retrieval", ...data, "--pipeline", "hybrid", "--weights", "1,0");
  expect(told["ndcg@10"]).toBeCloseTo(2 / 3, 10);
  const without = run("evaluate", "retrieval", "--data", path("set"), "--pipeline", "dense");
  await expect(without).rejects.toMatchObject({ code: "OPTION_MISSING" });
});

test("evaluate retrieval: ids with blanks score as their run and judgements in TREC's files do", async () => {
  mkdirSync(path("blanks/qrels"), { recursive: true });
  // Equal scores: by id, descending. A blank comes before 0, _ after it.
  const corpus = ["d 1", "d 10", "d 1 x"].map((_id) => ({ _id, text: "a cat" }));
  writeFileSync(path("blanks/corpus.jsonl"), lines(corpus));
  writeFileSync(path("blanks/queries.jsonl"), lines([{ _id: "q 1", text: "cat" }]));
  writeFileSync(path("blanks/qrels/test.tsv"), "query-id\tcorpus-id\tscore\nq 1\td 1 x\t1\n");
  const files = ["--run", path("blanks.trec"), "--write-qrels", path("blanks.qrels")];
  const result = await run("evaluate", "retrieval", "--data", path("blanks"), ...files);
  expect(result["mrr@10"]).toBe(1);
  expect(result.warnings).toMatchObject([{ code: "QRELS_ID_BLANKS", count: 2 }]);
  expect(readFileSync(path("blanks.qrels"), "utf8")).toBe("q_1 0 d_1_x 1\n");
  const again = await run("evaluate", "retrieval", "--data", path("blanks"), "--read-run", path("blanks.trec"));
  expect(again["mrr@10"]).toBe(1);
});

test("evaluate retrieval: by cosines where the model compares by them, by inner products where by those", async () => {
  const embedder = loadEmbedder(path("model"));
  const { model, tokenizer } = embedder;
  const scores: Record<string, number> = {};
  for (const similarity of ["cosine", "dot"] as const) {
    saveEmbedder(createEmbedder(model, tokenizer, { normalize: false, similarity }), path(similarity));
    await run("evaluate", "retrieval", "--data", path("set"), "--model", path(similarity), "--run", path("dense.trec"));
    for (const line of readFileSync(path("dense.trec"), "utf8").trim().split("\n")) {
      const score = Number(line.split(" ")[4]);
      scores[similarity] = Math.max(scores[similarity] ?? 0, score);
    }
  }
  embedder.dispose();
  expect(scores.cosine).toBeLessThan(1.0001);
  expect(scores.dot).toBeGreaterThan(1.5);
});

test("evaluate sts", async () => {
  writeFileSync(path("sts.csv"), "text_a,text_b,score\nthe cat,the cat,5\nthe cat,a stone,1\nthe dog,the dog here,4\n");
  const { spearman, pearson, pairs } = await run(
    "evaluate",
    "sts",
    "--model",
    path("model"),
    "--data",
    path("sts.csv"),
  );
  expect(pairs).toBe(3);
  for (const value of [spearman, pearson]) expect(Math.abs(value)).toBeLessThanOrEqual(1);
});

test("evaluate sts says why pairs do not count, and takes how fields are parted", async () => {
  writeFileSync(path("commas.csv"), 'sentence1|sentence2|score\nthe cat|a "cat|1\na dog|the dog here|2\n');
  const sts = (...more: string[]) =>
    run("evaluate", "sts", "--model", path("model"), "--data", path("commas.csv"), ...more);
  await expect(sts()).rejects.toMatchObject({ code: "DATA_ROW" });
  expect(await sts("--delimiter", "|", "--quote", "none")).toMatchObject({ pairs: 2 });
  writeFileSync(path("commas.csv"), "sentence1;sentence2;score\na;b;1,5\nc;d;2,5\n");
  await expect(sts()).rejects.toThrow(/2 pairs without a text or without a number/);
});

test("index and search: words, vectors, filters, replacing and removing", async () => {
  const made = await run(
    "index",
    path("set/corpus.jsonl"),
    "--out",
    path("index"),
    "--model",
    path("model"),
    "--batch",
    "2",
  );
  expect(made).toMatchObject({ documents: 6, added: 6, warnings: [] });
  const search = (...args: string[]) => run("search", path("index"), ...args);
  const first = await search("the bird", "--pipeline", "bm25");
  expect(first.results[0].hits).toMatchObject([
    { id: "d2", title: "bird", text: "a bird here", fields: { year: 2002 } },
  ]);
  for (const pipeline of ["dense", "hybrid"]) {
    const { results } = await search("bird a bird here", "--pipeline", pipeline, "--top", "3");
    expect(results[0].hits).toHaveLength(3);
    expect(results[0].hits[0].id).toBe("d2");
  }
  const late = await search("here", "--filter", "year>=2003", "--filter", "year!=2004", "--pipeline", "bm25");
  expect(late.results[0].hits.map(({ id }: { id: string }) => id).sort()).toEqual(["d3", "d5"]);
  writeFileSync(
    path("more.jsonl"),
    lines([
      { id: "d2", text: "a bee" },
      { id: "d2", text: "a wasp" },
    ]),
  );
  writeFileSync(path("gone.txt"), "d0\r\nnobody\r\n");
  const more = await run(
    "index",
    path("more.jsonl"),
    "--out",
    path("index"),
    "--model",
    path("model"),
    "--remove",
    path("gone.txt"),
    "--compact",
  );
  expect(more).toMatchObject({
    documents: 5,
    added: 2,
    removed: 1,
    warnings: [{ code: "DATA_ID_DUPLICATE", count: 1 }],
  });
  expect((await search("bird bee wasp cat", "--pipeline", "bm25")).results[0].hits).toMatchObject([
    { id: "d2", text: "a wasp" },
  ]);
  const passed = await run(
    "index",
    path("set/corpus.jsonl"),
    "--out",
    path("index"),
    "--model",
    path("model"),
    "--resume",
  );
  expect(passed).toMatchObject({ documents: 6, added: 1, passedOver: 5 });
  await expect(search("x", "--model", path("other"))).rejects.toMatchObject({ code: "INDEX_MODEL" });
  await expect(run("index", path("more.jsonl"), "--out", path("index"))).rejects.toMatchObject({ code: "INDEX_MODEL" });
  await expect(
    run("index", path("more.jsonl"), "--out", path("index"), "--model", path("other")),
  ).rejects.toMatchObject({ code: "INDEX_MODEL" });
});

test("rerank: a run, texts, and as the last stage of an evaluation; candidates to train with", async () => {
  const candidates = path("candidates.jsonl");
  const data = ["--data", path("set")];
  const bm25 = await run(
    "evaluate",
    "retrieval",
    ...data,
    "--write-candidates",
    candidates,
    "--run",
    path("first.trec"),
  );
  const rows = readFileSync(candidates, "utf8").trimEnd().split("\n");
  expect(rows.map((row) => JSON.parse(row)).slice(0, 1)).toEqual([
    { query: "the cat", candidates: ["cat a cat here"], relevance: [1] },
  ]);
  const tokenizer = loadTokenizer(path("model"));
  const task = taskOf("ranking");
  const settings = { loss: "pointwise" };
  const config = uniformEncoder({
    ...{ vocabularySize: tokenizer.vocabularySize, hiddenSize: 16, layers: 1, heads: 2, maxPositions: 32 },
  });
  const model = createModel({ ...task.head(settings), config });
  saveTaskModel({ task, settings, model, tokenizer, maxLength: 24 }, path("reranker"));
  const evaluated = await run("evaluate", "retrieval", ...data, "--rerank", path("reranker"), "--passages", "max");
  // One document was found for each query: there is nothing to put into another order.
  expect(evaluated["ndcg@10"]).toBe(bm25["ndcg@10"]);
  const short = await run("evaluate", "retrieval", ...data, "--rerank", path("reranker"), "--passages", "key-blocks");
  expect(short["ndcg@10"]).toBe(bm25["ndcg@10"]);
  const again = await run(
    "rerank",
    "--model",
    path("reranker"),
    ...data,
    "--run",
    path("first.trec"),
    "--out",
    path("second.trec"),
  );
  expect(again["ndcg@10"]).toBe(bm25["ndcg@10"]);
  expect(readFileSync(path("second.trec"), "utf8")).toContain("cloze-rerank");
  for (const mode of ["pointwise", "pairwise", "bert-qe"]) {
    const texts = [
      "rerank",
      "a cat",
      "a dog",
      "--query",
      "the dog",
      "--model",
      path("reranker"),
      "--rerank-mode",
      mode,
    ];
    const { results } = await run(...texts);
    expect(results.map(({ index }: { index: number }) => index).sort()).toEqual([0, 1]);
    expect(results[0].score).toBeGreaterThanOrEqual(results[1].score);
  }
  const long = `${"a stone. ".repeat(40)}the cat. ${"a stone. ".repeat(40)}`;
  const asked = ["--query", "cat", "--model", path("reranker")];
  const scores = async (text: string, ...more: string[]) =>
    (await run("rerank", text, "a dog", ...asked, ...more)).results.map(({ score }: { score: number }) => score);
  // A window of 24 tokens has room for 11 words: the block with the word, and one of stones.
  const read = keyBlocks("cat", long, bm25BlockScorer(new Bm25Index([long, "a dog"]).statistics), {
    words: 11,
    budget: 11,
  });
  expect(read).toContain("the cat.");
  expect(await scores(long, "--passages", "key-blocks")).toEqual(await scores(read));
  expect(await scores(long)).not.toEqual(await scores(read));
  await expect(run("rerank", "x", "--model", path("reranker"))).rejects.toMatchObject({ code: "OPTION_MISSING" });
});

test("documents without ids get the numbers of their rows", async () => {
  writeFileSync(path("plain.txt"), "a cat\n\na dog\n");
  writeFileSync(path("plain.csv"), "text\na bird\n");
  expect(await run("index", path("plain.txt"), "--out", path("plain"))).toMatchObject({ documents: 2 });
  expect((await run("search", path("plain"), "dog")).results[0].hits).toMatchObject([
    { id: "plain.txt:3", text: "a dog" },
  ]);
  expect(await run("index", path("plain.csv"), "--out", path("plain"))).toMatchObject({ documents: 3 });
});

test("conditions of --filter", () => {
  expect(filterOption("year!=2004", filterOption("year<2010", filterOption("year>=2000")))).toEqual({
    year: { gte: 2000, lt: 2010, not: [2004, "2004"] },
  });
  expect(filterOption("lang=en,3")).toEqual({ lang: ["en", 3, "3"] });
  expect(filterOption("open!=true")).toEqual({ open: { not: [true, "true"] } });
  // Repeated for a field, all hold; what cannot is refused, not dropped.
  expect(filterOption("lang!=de", filterOption("lang!=en"))).toEqual({ lang: { not: ["en", "de"] } });
  for (const [first, second] of [
    ["lang=en", "lang!=de"],
    ["lang!=de", "lang=en"],
    ["tag=a", "tag=b"],
  ])
    expect(() => filterOption(second, filterOption(first))).toThrow(/condition already/);
  for (const wrong of ["lang", "year>=soon", "=x"]) expect(() => filterOption(wrong)).toThrow();
});
