// /search by token vectors: hits are the library's own, for encoders that fill queries up and for one that does not.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { post } from "../../../test/post.js";
import { tinyTokenizer, wordModel } from "../../../test/tiny-models.js";
import { createTokenEncoder, type TokenEncoderOptions } from "../../embedding/token-encoder/token-encoder.js";
import { loadTokenEncoder, saveTokenEncoder } from "../../embedding/token-encoder/token-encoder-folder.js";
import { modelFingerprint } from "../../retrieval/store/model-fingerprint.js";
import { openIndex } from "../../retrieval/store/search-index.js";
import { createServer } from "../server.js";

const folder = mkdtempSync(join(tmpdir(), "cloze-search-tokens-"));
const documents = [
  { id: "cat", text: "a small cat sat on the mat", fields: { lang: "en" } },
  { id: "dog", text: "a large dog ran after the cat", fields: { lang: "en" } },
  { id: "film", text: "größe a lovely film", fields: { lang: "de" } },
];
const queries = ["the lovely cat, the cat", "a dog", "film"];
const kinds: Record<string, TokenEncoderOptions> = {
  filled: { width: 8, queryLength: 6 },
  apart: { width: 16, queryLength: 8, attendToExpansion: false },
  short: { width: 8, expandQueries: false },
};
let server: Awaited<ReturnType<typeof createServer>>;

beforeAll(async () => {
  const tokenizer = tinyTokenizer();
  for (const [kind, options] of Object.entries(kinds)) {
    const place = join(folder, `model-${kind}`);
    const encoder = createTokenEncoder(wordModel(tokenizer, { seed: kind.length }), tokenizer, { ...options, seed: 5 });
    saveTokenEncoder(encoder, place);
    const made = { model: place, fingerprint: modelFingerprint(place), width: encoder.width, bits: 8 as const };
    const index = openIndex(join(folder, kind), { write: true, create: { tokens: made } });
    index.add(documents, { tokens: encoder.encode(documents.map(({ text }) => text)) });
    index.close();
    encoder.dispose();
  }
  server = await createServer({
    models: [{ folder: join(folder, "model-apart") }],
    indexes: Object.keys(kinds).map((kind) => ({ folder: join(folder, kind) })),
  });
  await server.load();
});
afterAll(async () => {
  await server.app.close();
  server.dispose();
  rmSync(folder, { recursive: true, force: true });
});

const search = (payload: object) => post(server, "/search", payload);

test.each(Object.keys(kinds))("an index of token vectors is searched by them: %s", async (kind) => {
  const encoder = loadTokenEncoder(join(folder, `model-${kind}`));
  const index = openIndex(join(folder, kind));
  const expected = index.searchTokens(encoder.encode(queries, { role: "query" }), { depth: 3 });
  // Together, so that they share a forward pass.
  const answers = await Promise.all(queries.map((query) => search({ query, index: kind, top: 3 })));
  for (const [q, { status, body }] of answers.entries()) {
    expect([status, body.pipeline, body.hits.length]).toEqual([200, "colbert", 3]);
    expect(body.hits.map(({ id }: { id: string }) => id)).toEqual(expected[q].map(({ id }) => id));
    body.hits.forEach(({ score }: { score: number }, i: number) => {
      expect(score).toBeCloseTo(expected[q][i].score, 4);
    });
  }
  expect(Number(answers[0].headers["x-compute-tokens"])).toBe(
    kinds[kind].queryLength ?? encoder.tokenize([queries[0]], { role: "query" })[0].length,
  );
  const filtered = await search({ query: "cat", index: kind, filter: { lang: "de" } });
  expect(filtered.body.hits.map(({ id }: { id: string }) => id)).toEqual(["film"]);
  index.close();
  encoder.dispose();
});

test("an encoder of tokens says what it is, and embeds no texts", async () => {
  const info = await server.app.inject({ url: "/info?model=model-apart" });
  expect(info.json()).toMatchObject({ model_type: { embedding: { pooling: "colbert" } } });
  const embed = await server.app.inject({
    method: "POST",
    url: "/embed",
    payload: { inputs: "a", model: "model-apart" },
  });
  expect(embed.statusCode).toBe(424);
  expect(await search({ query: "cat", index: "short", pipeline: "splade" })).toMatchObject({
    status: 424,
    body: { error: "short holds no learned weights of terms; it is searched by colbert, bm25" },
  });
});
