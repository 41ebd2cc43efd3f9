// Early exit, PreTTR, TILDE, EPIC and expanded documents, from cloze train-retrieval to cloze index, search, evaluate and rerank.
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { runCommand } from "../../test/run-command.js";
import { wordModel, wordTokenizer } from "../../test/tiny-models.js";
import { createWarnings } from "../data/readers/warnings.js";
import { saveModel } from "../families/index.js";
import { createImpactIndex } from "../retrieval/learned-sparse/impact-index.js";
import { openDocumentExpander } from "../retrieval/pipeline/document-expanders.js";
import { loadExitModel } from "../retrieval/rerank/exit-folder.js";
import { rerankExits } from "../retrieval/rerank/rerank-exits.js";
import { loadSplitRanker } from "../retrieval/rerank/split-ranker-folder.js";
import { openIndex } from "../retrieval/store/search-index.js";
import { loadEpic } from "../retrieval/term-weighting/epic-folder.js";
import { tildeScore, tildeTexts, tildeTokens } from "../retrieval/term-weighting/tilde.js";
import { loadTilde } from "../retrieval/term-weighting/tilde-folder.js";
import { tildeWords } from "../retrieval/term-weighting/tilde-words.js";
import { addEvaluate } from "./evaluate.js";
import { addIndex } from "./index-documents.js";
import { addRerank } from "./rerank.js";
import { addSearch } from "./search.js";
import { addTrainRetrieval } from "./train-retrieval.js";

const folder = mkdtempSync(join(tmpdir(), "cloze-train-rerankers-"));
const path = (name: string) => join(folder, name);
const lines = (rows: readonly unknown[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join("");
const code = (wanted: string) => expect.objectContaining({ code: wanted });
// A query's own document begins with its noun; the other one that holds the noun is longer to find out.
const nouns = ["cat", "dog", "bird", "stone", "tree"];
const documents = nouns.map((noun, i) => ({ _id: `d${i}`, title: "", text: `${noun} with the ${nouns[(i + 1) % 5]}` }));
const textOf = (id: string) => documents.find(({ _id }) => _id === id);

interface Reranked {
  reranker: Record<string, number>;
  results: { index: number; score: number }[];
  warnings: unknown[];
  "ndcg@10": number;
  "mrr@10": number;
}
interface Found {
  pipeline: string;
  reranker?: Record<string, number>;
  results: { hits: { id: string; score: number; text: string }[] }[];
}
type Told = Record<string, number | string>;
const train = (part: string, out: string, ...args: string[]) => {
  const model = part === "tilde" || part === "epic" ? "language" : "model";
  return runCommand<Told>(
    addTrainRetrieval,
    ...["train-retrieval", "--part", part, "--data", path("set"), "--model", path(model), "--out", path(out)],
    ...args,
  );
};
const evaluate = (...args: string[]) =>
  runCommand<Reranked & Told>(addEvaluate, "evaluate", "retrieval", "--data", path("set"), ...args);
const rerank = (model: string, ...args: string[]) =>
  runCommand<Reranked & Told>(addRerank, "rerank", "--model", path(model), ...args);
const run = () => ["--data", path("set"), "--run", path("first.trec")];
const scoresIn = (file: string) =>
  new Map(
    readFileSync(path(file), "utf8")
      .trimEnd()
      .split("\n")
      .map((line) => line.split(" "))
      .map(([query, , id, , score]) => [`${query} ${id}`, Number(score)]),
  );
const ids = (found: Found) => found.results.map(({ hits }) => hits.map(({ id }) => id));

beforeAll(async () => {
  mkdirSync(path("set/qrels"), { recursive: true });
  writeFileSync(path("set/corpus.jsonl"), lines(documents));
  writeFileSync(path("set/queries.jsonl"), lines(nouns.map((text, i) => ({ _id: `q${i}`, text }))));
  const judged = (ids: readonly number[]) =>
    ["query-id\tcorpus-id\tscore", ...ids.map((i) => `q${i}\td${i}\t1`), ""].join("\n");
  writeFileSync(path("set/qrels/train.tsv"), judged([0, 1, 2, 3, 4]));
  writeFileSync(path("set/qrels/test.tsv"), judged([0, 1, 2, 3, 4]));
  const tokenizer = wordTokenizer(`with the ${nouns.join(" ")}`);
  for (const [name, architecture] of [
    ["model", "Model"],
    ["language", "ForMaskedLM"],
  ] as const) {
    const model = wordModel(tokenizer, { layers: 3, architecture });
    saveModel(model, path(name));
    tokenizer.save(path(name));
    model.dispose();
  }
  await evaluate("--run", path("first.trec"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("early exit: trained exits reorder a run, texts and what was found; candidates leave as --exits says", async () => {
  const told = await train("early-exit", "exits", "--steps", "60", "--learning-rate", "0.01", "--set", "every=2");
  expect(told).toMatchObject({ queries: 5, rows: 10 });
  const opened = loadExitModel(path("exits"));
  expect(opened.settings.exits).toEqual([1, 3]);
  const whole = await rerank("exits", ...run(), "--exits", "2,2", "--out", path("whole.trec"));
  expect(whole).toMatchObject({ "mrr@10": 1, reranker: { layersRead: 3, layers: 3 } });
  const first = scoresIn("first.trec");
  const { ranker, tokenizer, settings } = opened;
  const how = { tokenizer, maxLength: settings.maxLength };
  const stage = rerankExits(ranker, textOf, { ...how, exits: { positive: 2, negative: 2 } });
  const before = [...first]
    .filter(([key]) => key.startsWith("q1 "))
    .map(([key, score]) => ({ id: key.slice(3), score }));
  for (const { id, score } of await stage.rerank("dog", before))
    expect(scoresIn("whole.trec").get(`q1 ${id}`)).toBeCloseTo(score, 4);
  // The first exit was taught too: sure ones leave there.
  const early = await rerank("exits", ...run(), "--exits", "0.5,0.5");
  expect(early.reranker.layersRead).toBe(1);
  // Each query found two documents: half of them leave at the first exit.
  const cascade = await evaluate("--rerank", path("exits"), "--exits", "0.5");
  expect(cascade).toMatchObject({ "mrr@10": 1, reranker: { layersRead: 2 } });
  const asked = await rerank("exits", "--query", "cat", documents[4].text, documents[0].text);
  expect(asked.results.map(({ index }) => index)).toEqual([1, 0]);
  const long = await rerank("exits", "--query", "cat", `cat ${"stone ".repeat(40)}`);
  expect(long.warnings).toMatchObject([{ code: "TEXT_CUT", count: 1 }]);
  ranker.dispose();
  expect(await train("early-exit", "exits-more", "--model", path("exits"), "--steps", "1")).toMatchObject({ steps: 1 });
  await expect(rerank("exits", ...run(), "--passages", "max")).rejects.toEqual(code("OPTION_CONFLICT"));
  await expect(rerank("exits", ...run(), "--states", path("s"))).rejects.toEqual(code("OPTION_CONFLICT"));
  await expect(rerank("exits", ...run(), "--exits", "often")).rejects.toEqual(code("commander.invalidArgument"));
  writeFileSync(path("exits-more/early-exit.json"), '{"exits": []}');
  await expect(rerank("exits-more", ...run())).rejects.toEqual(code("RERANKER_FILE"));
});

test.each([0, 6])(
  "PreTTR with a codec of %i: documents are read once and kept, the order is the same",
  async (codec) => {
    const [model, states] = [`prettr-${codec}`, path(`states-${codec}`)];
    const shape = ["--set", "layer=1", "--set", `codec=${codec}`, "--set", "queryLength=6", "--set", "maxLength=24"];
    const told = await train("prettr", model, ...shape, "--steps", "120", "--learning-rate", "0.01");
    expect(told).toMatchObject({ queries: 5, rows: 10 });
    const plain = await rerank(model, ...run(), "--out", path("plain.trec"));
    expect(plain).toMatchObject({ "mrr@10": 1, reranker: { documentsRead: 10 } });
    expect(plain.reranker).not.toHaveProperty("documentsKept");
    const kept = ["--states", states, "--out", path("kept.trec")];
    expect(await rerank(model, ...run(), ...kept)).toMatchObject({ reranker: { documentsRead: 5, documentsKept: 5 } });
    expect(readFileSync(path("kept.trec"), "utf8")).toBe(readFileSync(path("plain.trec"), "utf8"));
    const size = statSync(join(states, "states.log")).size;
    // A record that a crash cut off is read anew; what is there is not.
    appendFileSync(join(states, "states.log"), Buffer.from([200, 0, 0, 0, 1, 2]));
    expect(await rerank(model, ...run(), ...kept)).toMatchObject({ reranker: { documentsRead: 0, documentsKept: 5 } });
    expect(statSync(join(states, "states.log")).size).toBe(size);
    expect(readFileSync(path("kept.trec"), "utf8")).toBe(readFileSync(path("plain.trec"), "utf8"));
    // The same as the last stage of a search; a text that changed is another.
    const changed = documents.map((document) => ({ ...document, text: document.text.replace("bird", "the bird") }));
    writeFileSync(path("changed.jsonl"), lines(changed));
    const place = path(`words-${codec}`);
    await runCommand(addIndex, "index", path("changed.jsonl"), "--out", place);
    const found = await runCommand<Found>(
      addSearch,
      ...["search", place, "bird", "--rerank", path(model), "--states", states],
    );
    expect(ids(found)[0][0]).toBe("d2");
    expect(found.reranker).toEqual({ documentsRead: 2, documentsKept: 7 });
    // What is trained is what is run: with the codec, but for its rounding.
    const ranker = loadSplitRanker(path(model));
    const pairs = documents.slice(0, 2).map(({ text }) => ({ query: "dog", document: text }));
    const scores = ranker.score("dog", ranker.store(pairs.map(({ document }) => document)));
    const logits = ranker.logits(pairs);
    Array.from(logits.toTypedArray() as Float32Array).forEach((logit, i) => {
      expect(Math.abs(logit - scores[i])).toBeLessThan(codec === 0 ? 1e-4 : 0.2);
    });
    logits.dispose();
    ranker.dispose();
    const long = [`cat ${"stone ".repeat(40)}`, "dog"];
    expect(await rerank(model, "--query", "cat", ...long)).toMatchObject({
      warnings: [{ code: "TEXT_CUT", count: 1 }],
    });
    const other = ["--model", path(model), "--steps", "1"];
    await train("prettr", `${model}-more`, ...other);
    await expect(rerank(`${model}-more`, ...run(), ...kept)).rejects.toEqual(code("STATES_MODEL"));
    writeFileSync(join(states, "states.json"), "{}");
    await expect(rerank(model, ...run(), ...kept)).rejects.toEqual(code("STATES_FILE"));
  },
);

test("TILDE: reranks, and expands documents with words that their queries have", async () => {
  const told = await train("tilde", "tilde", "--steps", "60", "--learning-rate", "0.01");
  expect(told).toMatchObject({ queries: 5, rows: 5 });
  const tilde = loadTilde(path("tilde"));
  const texts = documents.map(({ text }) => text);
  const read = tildeTexts(tilde.model, tilde.tokenizer, texts);
  await rerank("tilde", ...run(), "--out", path("tilde.trec"));
  const scores = scoresIn("tilde.trec");
  for (const [q, query] of nouns.entries()) {
    for (const d of [q, (q + 4) % 5]) {
      const plain = tildeScore(tildeTokens(tilde.tokenizer, query), read[d]);
      expect(scores.get(`q${q} d${d}`)).toBeCloseTo(plain, 4);
    }
  }
  const long = await rerank("tilde", "--query", "cat", `cat ${"stone ".repeat(40)}`);
  expect(long.warnings).toMatchObject([{ code: "TEXT_CUT", count: 1 }]);
  const made = await runCommand<Told>(
    addIndex,
    ...["index", path("set/corpus.jsonl"), "--out", path("tilde-index"), "--expand-documents", path("tilde")],
  );
  expect(made).toMatchObject({ documents: 5, expanded: 5, warnings: [] });
  const words = tildeWords(tilde, texts);
  // Texts are read in groups, of which more than one is as good as one.
  const many = Array.from({ length: 260 }, (_, i) => texts[i % 5]);
  expect(tildeWords(tilde, many)).toEqual(many.map((_, i) => words[i % 5]));
  // All other nouns of this small vocabulary; no document has its own words again, stop words or special tokens.
  words.forEach((one, d) => {
    const added = one.split(" ");
    expect(nouns.filter((noun) => added.includes(noun))).toEqual(nouns.filter((noun) => !texts[d].includes(noun)));
    expect(added.filter((word) => ["with", "the", "[MASK]"].includes(word))).toEqual([]);
  });
  const found = await runCommand<Found>(addSearch, "search", path("tilde-index"), "stone");
  expect(found.results[0].hits).toHaveLength(5);
  const kept = openIndex(path("tilde-index"));
  for (const { id, text, ...rest } of found.results[0].hits) {
    expect(text).toBe(textOf(id)?.text);
    expect(Object.keys(rest)).not.toContain("expansion");
    expect(kept.get(id)?.expansion).toBe(words[Number(id.slice(1))]);
  }
  kept.close();
  tilde.dispose();
  // Documents that have none of their queries' words are found by what was learnt of such pairs.
  mkdirSync(path("apart/qrels"), { recursive: true });
  const moved = nouns.map((_, i) => ({ _id: `d${i}`, text: nouns[(i + 2) % 5] }));
  writeFileSync(path("apart/corpus.jsonl"), lines(moved));
  writeFileSync(path("apart/queries.jsonl"), readFileSync(path("set/queries.jsonl")));
  for (const split of ["train", "test"])
    writeFileSync(path(`apart/qrels/${split}.tsv`), readFileSync(path("set/qrels/train.tsv")));
  const learnt = ["--set", "expansionTerms=2", "--data", path("apart"), "--steps", "150", "--learning-rate", "0.01"];
  await train("tilde", "tilde-apart", ...learnt);
  expect(await evaluate("--data", path("apart"))).toMatchObject({ "recall@100": 0 });
  const expanded = await evaluate("--data", path("apart"), "--expand-documents", path("tilde-apart"));
  expect(expanded).toMatchObject({ "recall@100": 1, expanded: 5 });
  const wrong = train("tilde", "wrong", "--model", path("model"), "--steps", "1");
  await expect(wrong).rejects.toEqual(code("TILDE_HEAD"));
});

test("EPIC: an index on disk finds as its weights say, and as an evaluation in memory", async () => {
  const told = await train("epic", "epic", "--steps", "60", "--learning-rate", "0.01", "--others", "2");
  expect(told).toMatchObject({ queries: 5 });
  await runCommand(addIndex, "index", path("set/corpus.jsonl"), "--out", path("epic-index"), "--model", path("epic"));
  const found = await runCommand<Found>(addSearch, "search", path("epic-index"), ...nouns);
  expect(found.pipeline).toBe("splade");
  const epic = loadEpic(path("epic"));
  const index = createImpactIndex(epic.encode(documents.map(({ text }) => text)));
  for (const [q, query] of epic.encode(nouns, { role: "query" }).entries()) {
    const plain = index.search(query, 5);
    // An index keeps weights in steps of 0.001.
    found.results[q].hits.forEach(({ id, score }) => {
      expect(score).toBeCloseTo(plain.find((hit) => `d${hit.index}` === id)?.score as number, 1);
    });
    expect(found.results[q].hits[0].id).toBe(`d${q}`);
  }
  epic.dispose();
  const measured = await evaluate("--model", path("epic"));
  expect(measured).toMatchObject({ pipeline: "splade", "mrr@10": 1 });
  await expect(runCommand(addSearch, "search", path("epic-index"), "cat", "--model", path("language"))).rejects.toEqual(
    code("INDEX_MODEL"),
  );
});

test("documents are expanded from a file: found by its words, shown without them", async () => {
  writeFileSync(
    path("questions.jsonl"),
    lines([
      { id: "d0", predicted_queries: ["what purrs", "which animal purrs"] },
      { id: "d3", queries: "what is hard" },
      { id: "d3", queries: "what lies around" },
      { id: "d9", queries: "nobody asks" },
    ]),
  );
  writeFileSync(path("questions.tsv"), "d0\twhat purrs\nd0\twhich animal purrs\n");
  const place = path("expanded");
  const index = (...args: string[]) =>
    runCommand<Told>(addIndex, "index", path("set/corpus.jsonl"), "--out", place, ...args);
  const told = await index("--expand-documents", path("questions.tsv"));
  expect(told).toMatchObject({ documents: 5, expanded: 1, warnings: [] });
  const search = (...args: string[]) => runCommand<Found>(addSearch, "search", place, ...args);
  const [hit, ...more] = (await search("purrs")).results[0].hits;
  expect(more).toEqual([]);
  expect(hit).toEqual({ id: "d0", text: documents[0].text, score: expect.any(Number) });
  // The same in memory; ids of the file that are not there are counted.
  writeFileSync(
    path("set/queries.jsonl"),
    `${readFileSync(path("set/queries.jsonl"), "utf8")}{"_id":"q9","text":"hard"}\n`,
  );
  writeFileSync(path("set/qrels/new.tsv"), "q9\td3\t1\nq0\td0\t1\n");
  const measured = await evaluate("--split", "new", "--expand-documents", path("questions.tsv"));
  expect(measured).toMatchObject({ expanded: 1, "recall@100": 0.5 });
  const file = path("questions.jsonl");
  writeFileSync(file, readFileSync(file, "utf8").replaceAll("predicted_queries", "queries"));
  expect(await evaluate("--split", "new", "--expand-documents", file)).toMatchObject({
    expanded: 2,
    "recall@100": 1,
    warnings: [expect.objectContaining({ code: "EXPANSION_DOCUMENT_UNKNOWN", count: 1 })],
  });
  // Documents that are passed over came all the same; where a signal stopped it, nobody knows what would have come.
  const unknown = [expect.objectContaining({ code: "EXPANSION_DOCUMENT_UNKNOWN", count: 1 })];
  expect(await index("--expand-documents", file, "--resume")).toMatchObject({
    added: 0,
    expanded: 0,
    warnings: unknown,
  });
  const heard = vi.spyOn(process, "once").mockImplementation(((signal: string, stop: () => void) => {
    if (signal === "SIGINT") stop();
    return process;
  }) as typeof process.once);
  const stopped = index("--expand-documents", file).finally(() => heard.mockRestore());
  expect(await stopped).toMatchObject({ added: 0, interrupted: true, warnings: [] });
  process.exitCode = undefined;
  // Documents that come again without an expansion have none.
  await index("--compact");
  expect((await search("purrs")).results[0].hits).toEqual([]);
  await index("--expand-documents", file, "--compact");
  expect((await search("around")).results[0].hits.map(({ id }) => id)).toEqual(["d3"]);
  await expect(index("--expand-documents", path("set/corpus.jsonl"))).resolves.toMatchObject({ expanded: 5 });
  await expect(index("--expand-documents", path("set"))).rejects.toEqual(code("EXPANSION_SOURCE"));
  const nowhere = openDocumentExpander(path("nowhere"), createWarnings());
  await expect(nowhere).rejects.toMatchObject({ code: "EXPANSION_SOURCE", received: "nothing" });
  const dense = evaluate("--model", path("model"), "--pipeline", "dense", "--expand-documents", file);
  await expect(dense).rejects.toEqual(code("OPTION_CONFLICT"));
});
