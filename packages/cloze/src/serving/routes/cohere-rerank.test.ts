// What Cohere's requests may say beside a query and texts, in both versions; and text-embeddings-inference's mixed lists.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { post } from "../../../test/post.js";
import { writeTinyModel } from "../../../test/tiny-models.js";
import { loadTokenizer } from "../../text/index.js";
import { createServer } from "../server.js";

const folder = mkdtempSync(join(tmpdir(), "cloze-cohere-"));
let server: Awaited<ReturnType<typeof createServer>>;

beforeAll(async () => {
  const models = (["embedder", "reranker"] as const).map((kind) => ({ folder: writeTinyModel(folder, kind) }));
  server = await createServer({ models });
  await server.load();
});
afterAll(async () => {
  await server.app.close();
  server.dispose();
  rmSync(folder, { recursive: true, force: true });
});

const query = "where is the cat";
interface Result {
  readonly index: number;
  readonly relevance_score: number;
  readonly document?: object;
}
async function ranked(body: object, path = "/v1/rerank"): Promise<readonly Result[]> {
  const answer = await post(server, path, { query, ...body });
  expect(answer.status, JSON.stringify(answer.body)).toBe(200);
  return answer.body.results;
}
const scoresOf = (results: readonly Result[]) =>
  [...results].sort((a, b) => a.index - b.index).map(({ relevance_score }) => relevance_score);

describe.each(["/v1/rerank", "/v2/rerank", "/rerank"])("%s", (path) => {
  test("rank_fields: the fields of objects in their order; `text` where nothing is said", async () => {
    const object = { body: "a large dog ran", title: "the small cat", text: "london", year: 2001 };
    const documents = [object, "a lovely film"];
    const read = async (rank_fields: readonly string[] | null | undefined, text: string) => {
      const [one, other] = await Promise.all([
        ranked({ documents, rank_fields }, path),
        ranked({ documents: [text, "a lovely film"] }, path),
      ]);
      expect(scoresOf(one)).toEqual(scoresOf(other));
    };
    await read(undefined, "london");
    await read(null, "london");
    await read(["title", "body"], "the small cat\na large dog ran");
    await read(["body", "title"], "a large dog ran\nthe small cat");
    await read(["missing", "year", "title"], "2001\nthe small cat");
  });
  test("return_documents: all that an object holds", async () => {
    const documents = ["the small cat", { text: "a dog", id: 7, tags: ["a"] }, { title: "london" }];
    const results = await ranked({ documents, rank_fields: ["title", "text"], return_documents: true }, path);
    const byPlace = [...results].sort((a, b) => a.index - b.index).map(({ document }) => document);
    expect(byPlace).toEqual([{ text: "the small cat" }, documents[1], { title: "london", text: "london" }]);
    expect((await ranked({ documents, rank_fields: ["title", "text"] }, path))[0]).not.toHaveProperty("document");
  });
  test("max_tokens_per_doc: as a text of so many tokens; what was cut is counted", async () => {
    const long = "the small cat sat on the mat in größe and a large dog ran after";
    const { offsets } = loadTokenizer(join(folder, "reranker")).encode(long, { addSpecialTokens: false });
    for (const most of [1, 3, 5]) {
      const answer = await post(server, path, { query, documents: [long, "a dog"], max_tokens_per_doc: most });
      const short = long.slice(0, offsets[most - 1][1]);
      expect(scoresOf(answer.body.results)[0]).toBe(scoresOf(await ranked({ documents: [short] }, path))[0]);
      const left =
        loadTokenizer(join(folder, "reranker")).encodeIds("a dog", { addSpecialTokens: false }).length - most;
      expect(answer.headers["x-cloze-truncated-tokens"]).toBe(String(offsets.length - most + Math.max(0, left)));
    }
    const whole = await ranked({ documents: [long] }, path);
    expect(await ranked({ documents: [long], max_tokens_per_doc: 4096 }, path)).toEqual(whole);
    expect(await ranked({ documents: [long], max_tokens_per_doc: null }, path)).toEqual(whole);
    const byVectors = { model: "embedder", query: "cat" };
    expect(await ranked({ ...byVectors, documents: [long], max_tokens_per_doc: 2 }, path)).toEqual(
      await ranked({ ...byVectors, documents: [long.slice(0, offsets[1][1])] }, path),
    );
  });
  test("what else clients send is taken; what is wrong is refused in Cohere's form", async () => {
    await ranked({ documents: ["a"], max_chunks_per_doc: 10, priority: 0, model: null, top_n: null }, path);
    for (const wrong of [
      { documents: [{ title: "a" }] },
      { documents: [{ text: { deep: 1 } }] },
      { documents: [{ text: null }] },
      { documents: [["a"]] },
      { documents: ["a"], rank_fields: [] },
      { documents: ["a"], rank_fields: "text" },
      { documents: ["a"], max_tokens_per_doc: 0 },
      { documents: ["a"], max_tokens_per_doc: 1.5 },
      { documents: ["a"], top_n: -1 },
      { documents: ["a"], return_documents: "yes" },
    ]) {
      const { status, body } = await post(server, path, { query, ...wrong });
      expect([status, body], JSON.stringify(wrong)).toEqual([400, { message: expect.any(String) }]);
    }
  });
});

test("the version of the path, and a search for each hundred documents", async () => {
  const meta = async (path: string, count: number) =>
    (await post(server, path, { query, documents: new Array(count).fill("a cat"), top_n: 1 })).body.meta;
  expect(await meta("/v1/rerank", 1)).toEqual({ api_version: { version: "1" }, billed_units: { search_units: 1 } });
  expect(await meta("/v2/rerank", 100)).toEqual({ api_version: { version: "2" }, billed_units: { search_units: 1 } });
  expect(await meta("/v2/rerank", 101)).toEqual({ api_version: { version: "2" }, billed_units: { search_units: 2 } });
});

test("text-embeddings-inference's lists may hold texts and ids of tokens", async () => {
  const ids = Array.from(loadTokenizer(join(folder, "embedder")).encodeIds("the small cat"));
  const { status, body } = await post(server, "/embed", { inputs: ["a dog", ids, "the small cat"] });
  expect(status).toBe(200);
  expect(body[1]).toEqual(body[2]);
  expect(body[0]).not.toEqual(body[2]);
  expect((await post(server, "/embed_all", { inputs: [ids, "a dog"] })).body).toHaveLength(2);
  expect((await post(server, "/embed", { inputs: ["a dog", [...ids, "cat"]] })).status).toBe(422);
  // OpenAI's may not.
  expect((await post(server, "/v1/embeddings", { input: ["a dog", ids] })).status).toBe(400);
});

test("characters are counted as text-embeddings-inference counts them", async () => {
  const { headers } = await post(server, "/embed", { inputs: ["größe", "🤷🏽", "\ud800"] });
  expect(headers["x-compute-characters"]).toBe("8");
});
