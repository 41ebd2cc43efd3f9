// Searches by vectors wait in the one queue and run on other threads: what is found stays the same, and others are answered.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { scope } from "@cloze/tensor";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { post } from "../../../test/post.js";
import { writeTinyModel } from "../../../test/tiny-models.js";
import { loadEmbedder } from "../../embedding/sentence-transformers.js";
import { modelFingerprint } from "../../retrieval/store/model-fingerprint.js";
import { openIndex } from "../../retrieval/store/search-index.js";
import type { NearestProgram } from "../nearest-program.js";
import { createServer } from "../server.js";

const folder = mkdtempSync(join(tmpdir(), "cloze-search-turns-"));
const place = join(folder, "index");
const words = "small cat sat mat large dog ran after lovely film dreadful day born london stock market".split(" ");
const texts = words.map(
  (word, i) => `${word} ${words[(3 * i + 1) % words.length]} ${words[(5 * i + 2) % words.length]}`,
);
const requestTimeout = 1500;
let embedder: string;
let server: Awaited<ReturnType<typeof createServer>>;

beforeAll(async () => {
  embedder = writeTinyModel(folder, "embedder");
  const model = loadEmbedder(embedder);
  const index = openIndex(place, {
    write: true,
    create: {
      vectors: { width: model.width, storage: "int8", model: embedder, fingerprint: modelFingerprint(embedder) },
    },
  });
  const vectors = scope(() => model.embed(texts).toTypedArray() as Float32Array);
  index.add(
    texts.map((text, i) => ({ id: String(i), text, fields: { half: i % 2 } })),
    { vectors },
  );
  index.close();
  model.dispose();
  server = await createServer({ indexes: [{ folder: place }], settings: { requestTimeout } });
  await server.load();
});
afterEach(() => {
  vi.restoreAllMocks();
});
afterAll(async () => {
  await server.app.close();
  server.dispose();
  rmSync(folder, { recursive: true, force: true });
});

const nearest = (): NearestProgram => server.state.indexes.get("index")?.nearest as NearestProgram;
const search = (payload: object) => post(server, "/search", { pipeline: "dense", ...payload });
const live = async () => (await server.app.inject({ url: "/livez" })).statusCode;

/** Holds searches until they are let go. */
function hold(): () => void {
  const compute = nearest().compute;
  let release = (): void => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  vi.spyOn(nearest(), "compute").mockImplementation(async (units) => {
    await held;
    return compute(units);
  });
  return release;
}
const untilSearched = () => vi.waitFor(() => expect(nearest().compute).toHaveBeenCalled());

test("many at once find what the index finds, several in one pass", async () => {
  const passes = vi.spyOn(nearest(), "compute");
  const asked = texts.map((query, i) => ({ query, top: 1 + (i % 3), ...(i % 2 === 0 && { filter: { half: 1 } }) }));
  const answers = await Promise.all(asked.map(search));
  const model = loadEmbedder(embedder);
  const index = openIndex(place);
  for (const [i, { query, top, filter }] of asked.entries()) {
    const vector = scope(() => model.embed([query], { role: "query" }).toTypedArray() as Float32Array);
    const [expected] = index.searchVectors(vector, { depth: top, filter });
    expect(expected).toHaveLength(top);
    const hits = (answers[i].body as { hits: { id: string; score: number }[] }).hits;
    expect(hits.map(({ id }) => id)).toEqual(expected.map(({ id }) => id));
    for (const [place, { score }] of hits.entries()) expect(score).toBeCloseTo(expected[place].score, 5);
  }
  index.close();
  model.dispose();
  expect(passes.mock.calls.length).toBeLessThan(asked.length);
});

test("others are answered while a search runs; it counts as active, and drains", async () => {
  const release = hold();
  const answer = search({ query: "a small cat" });
  await untilSearched();
  expect(await live()).toBe(200);
  expect(server.state.scheduler.active).toBe(1);
  let idle = false;
  const drained = server.state.scheduler.idle().then(() => {
    idle = true;
  });
  expect(await live()).toBe(200);
  expect(idle).toBe(false);
  release();
  expect((await answer).status).toBe(200);
  await drained;
});

test("a search that takes too long is given up, and does not hold up the next", async () => {
  const release = hold();
  const { status } = await search({ query: "a small cat" });
  expect(status).toBe(504);
  expect(server.state.scheduler.active).toBe(0);
  const next = search({ query: "a large dog" });
  release();
  expect((await next).status).toBe(200);
});

test("more than may wait are refused", async () => {
  const small = await createServer({ indexes: [{ folder: place }], settings: { maxConcurrentRequests: 1 } });
  await small.load();
  const program = small.state.indexes.get("index")?.nearest as NearestProgram;
  let release = (): void => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const { compute } = program;
  vi.spyOn(program, "compute").mockImplementation(async (units) => {
    await held;
    return compute(units);
  });
  const first = post(small, "/search", { query: "a cat", pipeline: "dense" });
  await vi.waitFor(() => expect(program.compute).toHaveBeenCalled());
  expect((await post(small, "/search", { query: "a dog", pipeline: "dense" })).status).toBe(429);
  release();
  expect((await first).status).toBe(200);
  await small.app.close();
  small.dispose();
});
