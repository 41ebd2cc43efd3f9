// A large index is searched by words in its turn: the same is found, one search at a time, and others are answered.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { post } from "../../../test/post.js";
import { openIndex } from "../../retrieval/store/search-index.js";
import type { SearchProgram } from "../search-program.js";
import { createServer } from "../server.js";

const folder = mkdtempSync(join(tmpdir(), "cloze-search-large-"));
const [place, small] = [join(folder, "large"), join(folder, "small")];
const words = "small cat sat mat large dog ran after lovely film dreadful day born london stock market".split(" ");
let server: Awaited<ReturnType<typeof createServer>>;

beforeAll(async () => {
  const write = (where: string, count: number) => {
    const index = openIndex(where, { write: true, create: {}, segmentSize: 20_000 });
    for (let i = 0; i < count; i += 10_000)
      index.add(
        Array.from({ length: Math.min(count, 10_000) }, (_, j) => ({
          id: String(i + j),
          text: `${words[(i + j) % 16]} ${words[(3 * (i + j) + (j >> 5)) % 16]} ${j % 999}`,
          fields: { half: j % 2 },
        })),
      );
    index.close();
  };
  write(place, 50_000);
  write(small, 100);
  server = await createServer({ indexes: [{ folder: place }, { folder: small }] });
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

const program = (): SearchProgram<string> => server.state.indexes.get("large")?.large?.words as SearchProgram<string>;

test("many at once find what the index finds, each alone", async () => {
  const compute = vi.spyOn(program(), "compute");
  const asked = words.map((word, i) => ({
    query: `${word} ${i * 50}`,
    top: 1 + i,
    ...(i % 2 === 0 && { filter: { half: 1 } }),
  }));
  const answers = await Promise.all(asked.map((body) => post(server, "/search", body)));
  const index = openIndex(place);
  for (const [i, { query, top, filter }] of asked.entries()) {
    const expected = index.searchWords(query, { depth: top, filter });
    expect(expected).toHaveLength(top);
    const hits = answers[i].body.hits.map(({ id, score }: { id: string; score: number }) => ({ id, score }));
    expect(hits).toEqual(expected);
  }
  index.close();
  expect(compute.mock.calls.map(([units]) => units.length)).toEqual(asked.map(() => 1));
});

test("a search counts as active and is waited for; a small index does not wait for its turn", async () => {
  const { compute } = program();
  let release = (): void => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  vi.spyOn(program(), "compute").mockImplementation(async (units) => {
    await held;
    return compute(units);
  });
  const answer = post(server, "/search", { query: "cat" });
  await vi.waitFor(() => expect(program().compute).toHaveBeenCalled());
  expect(server.state.scheduler.active).toBe(1);
  expect((await post(server, "/search", { query: "cat", index: "small" })).body.hits.length).toBeGreaterThan(0);
  expect(server.state.indexes.get("small")?.large).toBeUndefined();
  release();
  expect((await answer).body.hits).toHaveLength(10);
  await server.state.scheduler.idle();
});
