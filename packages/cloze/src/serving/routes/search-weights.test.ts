// /search and /embed_sparse by sparse encoders: weights and hits are the library's own, for SPLADE in both poolings, for queries
// that no model reads, and for uniCOIL.
import { cpSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { post } from "../../../test/post.js";
import { tinyTokenizer, wordModel, writeTinyModel } from "../../../test/tiny-models.js";
import { createSparseEncoder, type SparseEncoderOptions } from "../../embedding/sparse-encoder/sparse-encoder.js";
import { loadSparseEncoder, saveSparseEncoder } from "../../embedding/sparse-encoder/sparse-encoder-folder.js";
import type { SparseVector } from "../../retrieval/learned-sparse/impact-index.js";
import { indexTermWeights } from "../../retrieval/pipeline/index-retrievers.js";
import { modelFingerprint } from "../../retrieval/store/model-fingerprint.js";
import { openIndex } from "../../retrieval/store/search-index.js";
import { createTermWeighter } from "../../retrieval/term-weighting/term-weighter.js";
import {
  loadTermReader,
  loadTermWeighter,
  saveTermWeighter,
} from "../../retrieval/term-weighting/term-weighter-folder.js";
import { createServer } from "../server.js";

const folder = mkdtempSync(join(tmpdir(), "cloze-search-weights-"));
const documents = [
  { id: "cat", text: "a small cat sat on the mat", fields: { lang: "en" } },
  { id: "dog", text: "a large dog ran after the cat", fields: { lang: "en" } },
  { id: "film", text: "größe a lovely film", fields: { lang: "de" } },
];
const query = "the lovely cat, the cat";
const kinds: Record<string, SparseEncoderOptions> = {
  splade: { maxLength: 8 },
  summed: { pooling: "sum" },
  counted: { encodeQueries: false },
  unicoil: { weighting: "unicoil", encodeQueries: true },
};
let server: Awaited<ReturnType<typeof createServer>>;

beforeAll(async () => {
  const tokenizer = tinyTokenizer();
  for (const [kind, options] of Object.entries(kinds)) {
    const place = join(folder, `model-${kind}`);
    const model = wordModel(tokenizer, { architecture: "ForMaskedLM", seed: kind.length });
    const encoder = createSparseEncoder(model, tokenizer, { ...options, seed: 5 });
    saveSparseEncoder(encoder, place);
    const made = { model: place, fingerprint: modelFingerprint(place) };
    const index = openIndex(join(folder, kind), { write: true, create: { weights: made } });
    index.add(documents, { weights: encoder.encode(documents.map(({ text }) => text)) });
    index.close();
    encoder.dispose();
  }
  const weigher = createTermWeighter(wordModel(tokenizer), tokenizer, { type: "deepct" }, { seed: 4 });
  const weigherPlace = join(folder, "weigher");
  saveTermWeighter(weigher, weigherPlace);
  const made = { model: weigherPlace, fingerprint: modelFingerprint(weigherPlace), terms: "words" } as const;
  const index = openIndex(join(folder, "words"), { write: true, create: { weights: made } });
  index.add(documents, {
    weights: weigher.encode(
      documents.map(({ text }) => text),
      {},
    ),
  });
  index.close();
  weigher.dispose();
  // One stands where the index says, one elsewhere: it is known by its fingerprint.
  renameSync(join(folder, "model-summed"), join(folder, "elsewhere"));
  server = await createServer({
    models: [{ folder: join(folder, "elsewhere"), name: "model-summed" }],
    indexes: [...Object.keys(kinds), "words"].map((name) => ({ folder: join(folder, name) })),
  });
  await server.load();
});
afterAll(async () => {
  await server.app.close();
  server.dispose();
  rmSync(folder, { recursive: true, force: true });
});

const ask = (url: string, payload: object) => post(server, url, payload);
const placeOf = (kind: string) => join(folder, kind === "summed" ? "elsewhere" : `model-${kind}`);
/** Vectors of texts by the library. */
function direct(kind: string, texts: readonly string[], role: "query" | "document"): SparseVector[] {
  const encoder = loadSparseEncoder(placeOf(kind));
  const vectors = encoder.encode(texts, { role });
  encoder.dispose();
  return vectors;
}

describe.each(Object.keys(kinds))("%s", (kind) => {
  test("an index of weights is searched by them, as the library does", async () => {
    const index = openIndex(join(folder, kind));
    const [expected] = index.searchWeights(direct(kind, [query], "query"), { depth: 2 });
    index.close();
    const { status, body, headers } = await ask("/search", { query, index: kind, top: 2 });
    expect([status, body.pipeline]).toEqual([200, "splade"]);
    expect(expected.length).toBeGreaterThan(0);
    expect(body.hits.map(({ id }: { id: string }) => id)).toEqual(expected.map(({ id }) => id));
    body.hits.forEach(({ score }: { score: number }, i: number) => {
      expect(Math.abs(score - expected[i].score)).toBeLessThan(1e-5 * Math.max(1, expected[i].score));
    });
    expect(headers["x-compute-characters"]).toBe(String(query.length));
    expect(Number(headers["x-compute-tokens"])).toBeGreaterThan(2);
    const filtered = await ask("/search", { query, index: kind, filter: { lang: "de" } });
    expect(filtered.body.hits.map(({ id }: { id: string }) => id)).not.toContain("cat");
  });
  test.each(["query", "document"] as const)("/embed_sparse weighs a text as a %s", async (role) => {
    const texts = [...documents.map(({ text }) => text), query];
    const model = `model-${kind}`;
    const { status, body } = await ask("/embed_sparse", { inputs: texts, model, prompt_name: role });
    expect(status).toBe(200);
    for (const [i, { terms, weights }] of direct(kind, texts, role).entries()) {
      expect(body[i].map(({ index }: { index: number }) => index)).toEqual([...terms]);
      body[i].forEach(({ value }: { value: number }, t: number) => {
        expect(Math.abs(value - weights[t])).toBeLessThan(1e-5 * Math.max(1, weights[t]));
      });
    }
    if (role === "document") expect((await ask("/embed_sparse", { inputs: texts, model })).body).toEqual(body);
  });
});

test("an index of weights of words is searched by them, without a model", async () => {
  const index = openIndex(join(folder, "words"));
  const retriever = indexTermWeights(index, loadTermReader(join(folder, "weigher")));
  const [expected] = await retriever.search([query], { depth: 10 });
  index.close();
  expect(expected.length).toBeGreaterThan(0);
  const { status, body } = await ask("/search", { query, index: "words" });
  expect([status, body.pipeline]).toEqual([200, "term-weights"]);
  expect(body.hits.map(({ id, score }: { id: string; score: number }) => [id, score.toFixed(4)])).toEqual(
    expected.map(({ id, score }) => [id, score.toFixed(4)]),
  );
  const refused = await ask("/search", { query, index: "words", pipeline: "splade" });
  expect(refused.body.error).toBe("words holds no learned weights of terms; it is searched by term-weights, bm25");
  const without = await ask("/search", { query, index: "splade", pipeline: "term-weights" });
  expect(without.body.error).toBe("splade holds no weights of words; it is searched by splade, bm25");
  const gone = { model: join(folder, "gone"), fingerprint: "0", terms: "words" } as const;
  openIndex(join(folder, "unread"), { write: true, create: { weights: gone } }).close();
  const wrong = await createServer({ indexes: [{ folder: join(folder, "unread") }] });
  await expect(wrong.load()).rejects.toMatchObject({ code: "INDEX_MODEL" });
  await wrong.app.close();
  wrong.dispose();
});

test("a weighter of words reads queries for the index that it made, and is refused alone", async () => {
  const moved = join(folder, "weigher-elsewhere");
  cpSync(join(folder, "weigher"), moved, { recursive: true });
  const made = { model: join(folder, "no-longer-here"), fingerprint: modelFingerprint(moved), terms: "words" } as const;
  const index = openIndex(join(folder, "moved"), { write: true, create: { weights: made } });
  const weigher = loadTermWeighter(moved);
  const texts = documents.map(({ text }) => text);
  index.add(documents, { weights: weigher.encode(texts, {}) });
  index.close();
  weigher.dispose();
  const own = await createServer({ models: [{ folder: moved }], indexes: [{ folder: join(folder, "moved") }] });
  await own.load();
  const { status, body } = await post(own, "/search", { query });
  expect([status, body.pipeline]).toEqual([200, "term-weights"]);
  expect([...own.state.models]).toEqual([]);
  await own.app.close();
  own.dispose();
  for (const indexes of [[], [{ folder: join(folder, "unicoil") }]]) {
    const alone = await createServer({ models: [{ folder: moved }], indexes });
    await expect(alone.load()).rejects.toMatchObject({ code: "MODEL_UNSUPPORTED", received: "a weighter of words" });
    await alone.app.close();
    alone.dispose();
  }
});

test("what an index of weights is not made for is refused, with what it is; words still find", async () => {
  const refused = await ask("/search", { query, index: "splade", pipeline: "hybrid" });
  expect(refused).toMatchObject({ status: 424, body: { error_type: "Backend" } });
  expect(refused.body.error).toBe("splade holds no vectors; it is searched by splade, bm25");
  expect((await ask("/search", { query, index: "splade", pipeline: "bm25" })).body.pipeline).toBe("bm25");
  expect(await ask("/search", { query, pipeline: "nothing" })).toMatchObject({ status: 422 });
});

test("a sparse encoder is for sparse vectors: no vectors of its tokens' means, and its own limit of length", async () => {
  expect((await ask("/embed", { inputs: "a cat", model: "model-splade" })).status).toBe(424);
  expect((await ask("/embed", { inputs: "a cat", model: "model-unicoil" })).status).toBe(424);
  expect((await ask("/embed_sparse", { inputs: "a", prompt_name: "other", model: "model-splade" })).status).toBe(422);
  const { json, statusCode } = await server.app.inject({ url: "/info?model=model-splade" });
  expect([statusCode, json()]).toEqual([
    200,
    expect.objectContaining({ model_type: { embedding: { pooling: "splade" } }, max_input_length: 8 }),
  ]);
  const long = await ask("/embed_sparse", { inputs: "the cat ".repeat(9), model: "model-splade" });
  expect(long.headers["x-cloze-truncated-tokens"]).toBe("12");
  const root = await ask("/models/model-unicoil", { inputs: "a cat" });
  expect(root.body).toEqual((await ask("/embed_sparse", { inputs: "a cat", model: "model-unicoil" })).body);
});

test("queries of many clients run together, each with its own weights", async () => {
  const texts = ["the cat", "a large dog", "größe", "lovely film", query];
  const alone = [];
  for (const text of texts) alone.push((await ask("/search", { query: text, index: "unicoil" })).body.hits);
  const together = await Promise.all(texts.map((text) => ask("/search", { query: text, index: "unicoil" })));
  const rounded = (hits: { id: string; score: number }[]) => hits.map(({ id, score }) => [id, score.toFixed(4)]);
  expect(together.map(({ body }) => rounded(body.hits))).toEqual(alone.map(rounded));
});

test.each([
  ["another model in the place of an index's", () => writeTinyModel(folder, "language"), "another model"],
  ["a model that is gone", () => join(folder, "gone"), "Say where it is with --model"],
])("%s is refused", async (name, modelPlace, message) => {
  const made = { model: modelPlace(), fingerprint: "0".repeat(64) };
  openIndex(join(folder, name), { write: true, create: { weights: made } }).close();
  const wrong = await createServer({ indexes: [{ folder: join(folder, name) }] });
  await expect(wrong.load()).rejects.toMatchObject({ code: "INDEX_MODEL", message: expect.stringContaining(message) });
  await wrong.app.close();
  wrong.dispose();
});
