// /search on saved indexes: what is found is what the library finds, filtered and marked.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { scope } from "@cloze/tensor";
import { afterAll, beforeAll, expect, test } from "vitest";
import { post } from "../../../test/post.js";
import { writeTinyModel } from "../../../test/tiny-models.js";
import { loadEmbedder } from "../../embedding/sentence-transformers.js";
import { modelFingerprint } from "../../retrieval/store/model-fingerprint.js";
import { openIndex } from "../../retrieval/store/search-index.js";
import { createServer } from "../server.js";

const folder = mkdtempSync(join(tmpdir(), "cloze-search-"));
const documents = [
  { id: "cat", title: "The cat", text: "a small cat sat on the mat", fields: { year: 2001, lang: "en" } },
  { id: "dog", text: "a large dog ran after the cats", fields: { year: 2010, lang: "en" } },
  { id: "film", text: "größe: a lovely film", fields: { year: 2020, lang: "de" } },
];
let embedder: string;
let server: Awaited<ReturnType<typeof createServer>>;
let vectors: Float32Array;

beforeAll(async () => {
  embedder = writeTinyModel(folder, "embedder");
  const model = loadEmbedder(embedder);
  const embed = (texts: string[]) => scope(() => model.embed(texts).toTypedArray() as Float32Array);
  vectors = embed(documents.map(({ title, text }) => (title === undefined ? text : `${title} ${text}`)));
  const both = openIndex(join(folder, "both"), {
    write: true,
    create: {
      analyzer: { stemmer: "english" },
      vectors: { width: model.width, storage: "float32", model: embedder, fingerprint: modelFingerprint(embedder) },
    },
  });
  both.add(documents, { vectors });
  both.close();
  const words = openIndex(join(folder, "words"), { write: true, create: {} });
  words.add(documents.map((document) => ({ ...document, expansion: `who is the ${document.id}` })));
  words.close();
  model.dispose();
  // The model is named by the index alone.
  server = await createServer({ indexes: [{ folder: join(folder, "both") }, { folder: join(folder, "words") }] });
  await server.load();
});
afterAll(async () => {
  await server.app.close();
  server.dispose();
  rmSync(folder, { recursive: true, force: true });
});

const search = (payload: object) => post(server, "/search", payload);
const ids = (body: { hits: { id: string }[] }) => body.hits.map(({ id }) => id);

test("words, vectors and both: what the index itself finds", async () => {
  const index = openIndex(join(folder, "both"));
  const model = loadEmbedder(embedder);
  const query = scope(() => model.embed(["a cat"], { role: "query" }).toTypedArray() as Float32Array);
  model.dispose();
  const bm25 = await search({ query: "a cat", pipeline: "bm25" });
  expect(bm25.body.hits.map(({ id, score }: { id: string; score: number }) => ({ id, score }))).toEqual(
    index.searchWords("a cat", { depth: 10 }),
  );
  const dense = await search({ query: "a cat", pipeline: "dense", top: 2 });
  const [expected] = index.searchVectors(query, { depth: 2 });
  expect(ids(dense.body)).toEqual(expected.map(({ id }) => id));
  dense.body.hits.forEach(({ score }: { score: number }, i: number) => {
    expect(score).toBeCloseTo(expected[i].score, 4);
  });
  const hybrid = await search({ query: "a cat" });
  expect(hybrid.body).toMatchObject({ pipeline: "hybrid", documents: 3, index: "both", query: "a cat" });
  expect(hybrid.body.hits).toHaveLength(3);
  expect(hybrid.body.hits.find(({ id }: { id: string }) => id === "cat")).toMatchObject(documents[0]);
  index.close();
});

test("filters", async () => {
  const found = async (filter: object) => ids((await search({ query: "a cat film", filter })).body).sort();
  expect(await found({ lang: "en" })).toEqual(["cat", "dog"]);
  expect(await found({ lang: ["de", "fr"] })).toEqual(["film"]);
  expect(await found({ year: { gte: 2005, lt: 2020 } })).toEqual(["dog"]);
  expect(await found({ lang: { not: "en" } })).toEqual(["film"]);
  expect(await found({ nothing: true })).toEqual([]);
  expect((await search({ query: "a", filter: { year: { above: 3 } } })).status).toBe(422);
});

test("highlights are the words that the index takes for the query's, where they stand", async () => {
  const { body } = await search({ query: "CAT größe", pipeline: "bm25" });
  const marked = Object.fromEntries(
    body.hits.map(({ id, highlights }: { id: string; highlights: { field: string; text: string }[] }) => [
      id,
      highlights.map(({ field, text }) => `${field} ${text}`),
    ]),
  );
  expect(marked).toEqual({ cat: ["title cat", "text cat"], dog: ["text cats"], film: ["text größe"] });
  for (const hit of body.hits) {
    for (const { field, start, end, text } of hit.highlights) expect(hit[field].slice(start, end)).toBe(text);
  }
  expect((await search({ query: "cat", highlight: false })).body.hits[0].highlights).toBeUndefined();
});

test("what documents are expanded by is searched and not shown", async () => {
  for (const highlight of [true, false]) {
    const { body } = await search({ query: "who", index: "words", highlight });
    expect(ids(body).sort()).toEqual(["cat", "dog", "film"]);
    for (const hit of body.hits) expect(hit).not.toHaveProperty("expansion");
  }
});

test("an index of words answers by words; what is not there is said", async () => {
  const words = await search({ query: "cat", index: "words" });
  expect(words.body).toMatchObject({ pipeline: "bm25", index: "words" });
  expect(ids(words.body)).toEqual(["cat"]);
  expect(await search({ query: "cat", index: "words", pipeline: "dense" })).toMatchObject({ status: 424 });
  expect(await search({ query: "cat", index: "nobody" })).toMatchObject({
    status: 404,
    body: { error_type: "NotFound" },
  });
  expect(await search({ query: "" })).toMatchObject({ status: 400, body: { error_type: "Empty" } });
  expect(await search({ query: "cat", top: 0 })).toMatchObject({ status: 422 });
  // Scores that no JSON can hold.
  expect(await search({ query: "cat", weights: [1e308, 1e308] })).toMatchObject({ status: 422 });
});

test("the model of the index is served too, and another model in its place is refused", async () => {
  const answer = await server.app.inject({ method: "POST", url: "/embed", payload: { inputs: "a cat" } });
  expect(answer.statusCode).toBe(200);
  const other = openIndex(join(folder, "other"), {
    write: true,
    create: { vectors: { width: 16, storage: "float32", model: embedder, fingerprint: "0".repeat(64) } },
  });
  other.close();
  const wrong = await createServer({ indexes: [{ folder: join(folder, "other") }] });
  await expect(wrong.load()).rejects.toMatchObject({ code: "INDEX_MODEL" });
  await wrong.app.close();
  wrong.dispose();
});
