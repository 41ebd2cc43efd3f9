// `cloze train --encoder`: embedders, learned weights of terms and token vectors that find documents.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { code, createEmbeddingFiles, model, texts } from "../../test/embedding-files.js";
import { runCommand } from "../../test/run-command.js";
import { loadSparseEncoder } from "../embedding/sparse-encoder/sparse-encoder-folder.js";
import { loadTokenEncoder } from "../embedding/token-encoder/token-encoder-folder.js";
import { createLateInteractionIndex } from "../retrieval/late-interaction/late-interaction-index.js";
import { createImpactIndex } from "../retrieval/learned-sparse/impact-index.js";
import { trainWordPiece } from "../text/index.js";
import { addEvaluateRetrieval } from "./evaluate-retrieval.js";
import { addIndex } from "./index-documents.js";
import { addSearch } from "./search.js";
import { addTrain } from "./train.js";

const { path, write, remove } = createEmbeddingFiles();
afterAll(remove);
afterEach(() => vi.restoreAllMocks());

const found = (name: string, ...args: string[]): Promise<{ pipeline: string; "ndcg@10": number }> =>
  runCommand(addEvaluateRetrieval, "retrieval", "--data", path("set"), "--model", path(name), ...args);
beforeAll(() => {
  mkdirSync(path("set/qrels"), { recursive: true });
  write(
    "set/corpus.jsonl",
    texts.map((text, i) => ({ _id: `d${i}`, text })),
  );
  write(
    "set/queries.jsonl",
    texts.map((text, i) => ({ _id: `q${i}`, text: `find ${text}` })),
  );
  write("set/qrels/test.tsv", ["query-id\tcorpus-id\tscore", ...texts.map((_, i) => `q${i}\td${i}\t1`)]);
  trainWordPiece(texts, { vocabularySize: 120, minFrequency: 1 }).save(path("words"));
});

test.each([
  ["splade", "splade"],
  ["unicoil", "splade"],
  ["colbert", "colbert"],
])("%s, from nothing: its folder says how it is searched with, and is gone on with", async (kind, pipeline) => {
  const common = ["train", path("pairs.jsonl"), "--batch-size", "4", "--max-length", "24", "--out", path(kind)];
  const start = ["--tokenizer", path("words"), "--size", "tiny", "--learning-rate", "0.001"];
  await runCommand(addTrain, ...common, "--encoder", kind, ...start, "--steps", "12");
  const first = await found(kind);
  expect(first.pipeline).toBe(pipeline);
  expect(first["ndcg@10"]).toBeGreaterThan(0.3);
  expect(await found(kind, "--pipeline", pipeline)).toMatchObject({ "ndcg@10": first["ndcg@10"] });
  await runCommand(addTrain, ...common, "--model", path(kind), "--steps", "2");
  expect((await found(kind)).pipeline).toBe(pipeline);
  await expect(
    runCommand(addTrain, ...common, "--model", path(kind), "--steps", "2", "--dev", path("sts.tsv")),
  ).rejects.toThrow(code("OPTION_CONFLICT"));
});

test("--resume where there is no checkpoint is a run from the start: a SPLADE's terms are counted first", async () => {
  const words = Array.from({ length: 500 }, (_, i) => `w${i.toString(36)}x`).join(" ");
  trainWordPiece([words, words], { vocabularySize: 900, minFrequency: 1 }).save(path("many"));
  const start = ["--tokenizer", path("many"), "--size", "tiny", "--max-length", "24", "--batch-size", "4"];
  const run = ["train", path("pairs.jsonl"), "--encoder", "splade", ...start, "--steps", "1"];
  await runCommand(addTrain, ...run, "--out", path("begun"));
  await runCommand(addTrain, ...run, "--out", path("resumed"), "--resume");
  const encoder = loadSparseEncoder(path("begun"));
  const bias = encoder.model.head.parameters.get("decoder.bias")?.toTypedArray() ?? [];
  // Where the start is left out, no bias is further from 0 than one step takes it.
  expect(Math.max(...bias)).toBeLessThan(-0.01);
  encoder.dispose();
  const [begun, resumed] = ["begun", "resumed"].map((name) => readFileSync(join(path(name), "model.safetensors")));
  expect(resumed.equals(begun)).toBe(true);
});

test("learned weights of terms lie in an index on the disk, and find what those in memory find", async () => {
  const start = ["--tokenizer", path("words"), "--size", "tiny", "--learning-rate", "0.001", "--steps", "12"];
  const train = ["train", path("pairs.jsonl"), "--batch-size", "4", "--max-length", "24", "--out", path("sparse")];
  await runCommand(addTrain, ...train, "--encoder", "unicoil", ...start);
  const index = ["index", "--out", path("weighed"), "--model", path("sparse")];
  expect(await runCommand(addIndex, ...index, path("set/corpus.jsonl"))).toMatchObject({ documents: texts.length });
  const encoder = loadSparseEncoder(path("sparse"));
  const memory = createImpactIndex(encoder.encode(texts));
  const search = (
    ...more: string[]
  ): Promise<{ pipeline: string; results: { hits: { id: string; score: number }[] }[] }> =>
    runCommand(addSearch, "search", path("weighed"), "find the dog", ...more);
  const { pipeline, results } = await search();
  expect(pipeline).toBe("splade");
  const expected = memory.search(encoder.encode(["find the dog"], { role: "query" })[0], 10);
  encoder.dispose();
  expect(results[0].hits.length).toBe(expected.length);
  expect(expected.length).toBeGreaterThan(2);
  expected.forEach(({ score }, place) => {
    expect(results[0].hits[place].score).toBeCloseTo(score, 1);
  });
  expect((await search("--pipeline", "bm25")).results[0].hits[0].id).toBe("d1");
  await expect(search("--pipeline", "hybrid")).rejects.toThrow(code("INDEX_NO_VECTORS"));
  await expect(search("--model", path("other"))).rejects.toThrow();
  await expect(runCommand(addIndex, "index", "--out", path("weighed"), path("set/corpus.jsonl"))).rejects.toThrow(
    code("INDEX_MODEL"),
  );
  // The same texts again replace themselves; a compaction keeps their weights.
  await runCommand(addIndex, ...index, path("set/corpus.jsonl"), "--compact");
  expect((await search()).results[0].hits.map(({ score }) => score)).toEqual(results[0].hits.map(({ score }) => score));
});

test("token vectors lie in an index on the disk, and find what those in memory find", async () => {
  const start = ["--tokenizer", path("words"), "--size", "tiny", "--learning-rate", "0.001", "--steps", "12"];
  const train = ["train", path("pairs.jsonl"), "--batch-size", "4", "--max-length", "24", "--out", path("late")];
  await runCommand(addTrain, ...train, "--encoder", "colbert", ...start);
  const index = ["index", "--out", path("tokens"), "--model", path("late"), "--token-bits", "4"];
  expect(await runCommand(addIndex, ...index, path("set/corpus.jsonl"))).toMatchObject({ documents: texts.length });
  expect(JSON.parse(readFileSync(path("tokens/index.json"), "utf8")).tokens).toMatchObject({ bits: 4, width: 128 });
  const encoder = loadTokenEncoder(path("late"));
  const memory = createLateInteractionIndex(encoder.encode(texts), encoder.width, { bits: 4 });
  const expected = memory.search(encoder.encode(["find the dog"], { role: "query" })[0], 10);
  encoder.dispose();
  const search = (
    ...more: string[]
  ): Promise<{ pipeline: string; results: { hits: { id: string; score: number }[] }[] }> =>
    runCommand(addSearch, "search", path("tokens"), "find the dog", ...more);
  const { pipeline, results } = await search();
  expect(pipeline).toBe("colbert");
  expect(results[0].hits.map(({ id }) => id)).toEqual(expected.map(({ index: at }) => `d${at}`));
  expected.forEach(({ score }, place) => {
    expect(results[0].hits[place].score).toBeCloseTo(score, 5);
  });
  const idsAndScores = ({ results: [{ hits }] }: Awaited<ReturnType<typeof search>>) =>
    hits.map(({ id, score }) => [id, score]);
  expect(idsAndScores(await search("--exact", "--pipeline", "colbert"))).toEqual(
    results[0].hits.map(({ id, score }) => [id, score]),
  );
  expect((await search("--pipeline", "bm25")).results[0].hits[0].id).toBe("d1");
  await expect(search("--pipeline", "hybrid")).rejects.toThrow(/--pipeline colbert/);
  await expect(search("--pipeline", "splade")).rejects.toThrow(code("INDEX_NO_WEIGHTS"));
  await expect(runCommand(addIndex, "index", "--out", path("tokens"), path("set/corpus.jsonl"))).rejects.toThrow(
    code("INDEX_MODEL"),
  );
  await expect(
    runCommand(addIndex, "index", "--out", path("tokens"), "--model", model, path("set/corpus.jsonl")),
  ).rejects.toThrow(code("INDEX_MODEL"));
  // The same texts again replace themselves; a compaction copies their codes.
  await runCommand(addIndex, ...index, path("set/corpus.jsonl"), "--compact");
  expect(idsAndScores(await search())).toEqual(results[0].hits.map(({ id, score }) => [id, score]));
  // Other markers, lengths or skipped tokens make another encoder of the same weights.
  const settings = path("late/config_sentence_transformers.json");
  const before = readFileSync(settings, "utf8");
  writeFileSync(settings, before.replace(/"query_length": ?\d+/, '"query_length": 7'));
  await expect(search()).rejects.toThrow(code("INDEX_MODEL"));
  writeFileSync(settings, before);
  await runCommand(addIndex, "index", "--out", path("plain"), path("set/corpus.jsonl"));
  await expect(runCommand(addSearch, "search", path("plain"), "dog", "--pipeline", "colbert")).rejects.toThrow(
    code("INDEX_NO_TOKENS"),
  );
});

test("an embedder has no vectors of tokens", async () => {
  await expect(
    runCommand(addEvaluateRetrieval, "retrieval", "--data", path("set"), "--model", model, "--pipeline", "colbert"),
  ).rejects.toThrow(code("ENCODER_KIND"));
});
