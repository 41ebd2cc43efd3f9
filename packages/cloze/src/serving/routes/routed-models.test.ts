// Embedders whose queries and documents take different routes, and static ones, served.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { post } from "../../../test/post.js";
import { createServer } from "../server.js";

const fixtures = fileURLToPath(new URL("../../../test/fixtures/embedders/folders", import.meta.url));
const words = ["word-embeddings", "word-weights", "word-lstm", "word-cnn", "bert-cnn", "bag-of-words", "bag-of-counts"];
const names = ["static", "weighted-layers", "router", "router-behind", "router-mapped", ...words];
const expected = (name: string, call: string): number[][] =>
  JSON.parse(readFileSync(join(fixtures, name, "expected.json"), "utf8")).embeddings[call];
const texts = ["a small cat", "the moon is far away from the earth and very far from a star", "a"];
/** Of the texts above among those of the fixture. */
const places = [0, 4, 5];
let server: Awaited<ReturnType<typeof createServer>>;

beforeAll(async () => {
  server = await createServer({ models: names.map((name) => ({ folder: join(fixtures, name) })) });
  await server.load();
});
afterAll(async () => {
  await server.app.close();
  server.dispose();
});

const expectNear = (received: readonly number[][], rows: readonly number[][]) => {
  expect(received.length).toBe(rows.length);
  received.forEach((row, i) => {
    row.forEach((value, c) => {
      expect(Math.abs(value - rows[i][c])).toBeLessThan(5e-6);
    });
  });
};
const embed = (model: string, more: object = {}) =>
  post(server, "/embed", { inputs: texts, model, normalize: false, ...more });

test.each([
  ["router", "query"],
  ["router", "document"],
  ["router-behind", "query"],
  ["router-behind", "document"],
  ["router-mapped", "query"],
  ["router-mapped", "document"],
])("%s gives sentence-transformers' vectors of a %s", async (model, role) => {
  const rows = places.map((place) => expected(model, role)[place]);
  // A last step that scales vectors is left to the request.
  const normalize = model === "router";
  const { status, body } = await embed(model, { prompt_name: role, normalize });
  expect(status).toBe(200);
  expectNear(body, rows);
});

test.each(["static", "weighted-layers", "router", "router-mapped"])("%s without a role", async (model) => {
  const { status, body } = await embed(model, { normalize: model !== "router-mapped" });
  expect(status).toBe(200);
  expectNear(
    body,
    places.map((place) => expected(model, "default")[place]),
  );
});

test.each(words)("%s: modules before the pooling, and words that are counted", async (model) => {
  const inputs = texts.slice(0, 2);
  const normalize = ["word-lstm", "bag-of-counts"].includes(model);
  const { status, body } = await post(server, "/embed", { inputs, model, normalize });
  expect(status).toBe(200);
  expectNear(
    body,
    places.slice(0, 2).map((place) => expected(model, "default")[place]),
  );
  // Vectors of tokens come of the encoder alone, which is not what is pooled.
  const tokens = await post(server, "/embed_all", { inputs, model });
  expect(tokens.status).toBe(["word-embeddings"].includes(model) ? 200 : 424);
});

test("requests of both roles at once are each answered by their route", async () => {
  const roles = ["query", "document", "query", "document"];
  const answers = await Promise.all(roles.map((role) => embed("router", { prompt_name: role, normalize: true })));
  answers.forEach(({ body }, i) => {
    expectNear(
      body,
      places.map((place) => expected("router", roles[i])[place]),
    );
  });
});

test("a text whose role the model must know, and a text without tokens", async () => {
  const { status, body } = await embed("router-behind");
  expect(status).toBe(422);
  expect(body.error).toMatch(/prompt_name/);
  // A control character is nothing to this tokenizer, and the server says so as for an empty text.
  const blank = await post(server, "/embed", { inputs: ["a", "\u0001"], model: "static" });
  expect(blank.status).toBe(400);
});

test("vectors of tokens, and tokens, are the route's", async () => {
  const all = await post(server, "/embed_all", { inputs: ["a cat"], model: "router", prompt_name: "query" });
  expect(all.status).toBe(200);
  const tokens = await post(server, "/tokenize", { inputs: ["a cat"], model: "router", prompt_name: "query" });
  expect(tokens.status).toBe(200);
  expect(tokens.body[0].map(({ text }: { text: string }) => text)).toContain("find");
  expect(all.body[0].length).toBe(4);
});
