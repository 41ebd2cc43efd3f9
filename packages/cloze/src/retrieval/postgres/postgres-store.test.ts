import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { howToGetPostgres, pythonWithPostgres, startPostgres } from "../../../test/postgres-server.js";
import { type DocumentStore, embeddedStore } from "../document-store.js";
import type { SparseVector } from "../learned-sparse/impact-index.js";
import type { IndexedDocument } from "../store/document.js";
import type { Filter } from "../store/filter.js";
import { openIndex } from "../store/search-index.js";
import { openPostgresStore } from "./postgres-store.js";

const python = pythonWithPostgres();
if (python === undefined) console.log(howToGetPostgres);
const vectors = { width: 3, storage: "float32", model: "toy", fingerprint: "a" } as const;
const weights = { model: "toy weights", fingerprint: "w" } as const;
const create = { vectors, weights, analyzer: { stemmer: "english" } } as const;

test("a server that is not there", async () => {
  const nowhere = openPostgresStore("postgres://nobody:secret@127.0.0.1:1/none");
  await expect(nowhere).rejects.toMatchObject({ code: "POSTGRES_CONNECTION" });
  await expect(nowhere).rejects.not.toThrow(/secret/);
});

describe.skipIf(python === undefined)("PostgreSQL", () => {
  let server: Awaited<ReturnType<typeof startPostgres>>;
  beforeAll(async () => {
    server = await startPostgres(python as string);
  }, 120_000);
  afterAll(() => server?.stop(), 60_000);

  const words = ["cats", "dog", "bird", "stones"];
  const prices = ["4.50", "007", "-3", "4.x"];
  const documents: IndexedDocument[] = Array.from({ length: 20 }, (_, i) => ({
    id: `d${i}`,
    title: i % 3 === 0 ? "A title" : undefined,
    text: Array.from({ length: (i % 5) + 1 }, (_, j) => words[(i * 7 + j * j) % 4]).join(" "),
    fields: { year: 2000 + (i % 4), tags: [words[i % 4], "all"], deep: { open: i % 2 === 0 }, price: prices[i % 4] },
  }));
  const rowsOf = (list: readonly IndexedDocument[]) =>
    Float32Array.from(
      list.flatMap(({ id }) => [Number(id.slice(1)) % 7, Number(id.slice(1)) % 3, 1 / (1 + Number(id.slice(1)))]),
    );

  const weightsOf = (list: readonly IndexedDocument[]): SparseVector[] =>
    list.map(({ id }) => {
      const terms = [0, 1, 2, 3, 4].filter((term) => (Number(id.slice(1)) + term) % 3 > 0);
      return {
        terms: Uint32Array.from(terms),
        weights: Float32Array.from(terms, (term) => (Number(id.slice(1)) + term) / 8),
      };
    });
  const queryWeights = [
    { terms: Uint32Array.of(1, 3, 9), weights: Float32Array.of(0.5, 1.25, 2) },
    { terms: new Uint32Array(0), weights: new Float32Array(0) },
  ];

  /** The same changes, one after another, whatever the store. */
  async function fill(store: DocumentStore): Promise<DocumentStore> {
    await store.add(documents, { vectors: rowsOf(documents), weights: weightsOf(documents) });
    const newer = [
      { id: "d3", text: "bird" },
      { id: "d4", text: "one \u0000 stone" },
      { id: "d3", text: "a bird, two birds" },
    ];
    await store.add(newer, { vectors: rowsOf(newer), weights: weightsOf(newer) });
    expect(await store.remove(["d7", "d7", "nobody"])).toBe(1);
    return store;
  }

  test("is the embedded index in another place: the same documents, scores, filters", async () => {
    const embedded = await fill(
      embeddedStore(openIndex(mkdtempSync(join(tmpdir(), "cloze-both-")), { write: true, create })),
    );
    const postgres = await fill(await openPostgresStore(server.url, { create }));
    const stores = [embedded, postgres];
    const both = async <T>(ask: (store: DocumentStore) => Promise<T>): Promise<[T, T]> => [
      await ask(embedded),
      await ask(postgres),
    ];
    const same = async <T>(ask: (store: DocumentStore) => Promise<T>) => {
      const [first, second] = await both(ask);
      expect(second).toEqual(first);
      return first;
    };
    expect(await same((store) => store.size())).toBe(19);
    await same((store) => store.get(["d1", "d3", "d4", "d7"]));
    await same((store) => store.has(["d1", "d7"]));
    const rounded = (hits: readonly { id: string; score: number }[]) =>
      hits.map(({ id, score }) => `${score.toFixed(4)} ${id}`).sort();
    const filters: (Filter | undefined)[] = [
      undefined,
      { year: 2001 },
      { year: { gte: 2001, lt: 2003, not: 2002 } },
      { tags: ["dog", "bird"], "deep.open": true },
      { tags: { not: "cats" } },
      { price: { gt: -10 } },
      { price: { gte: 0, lt: 5 } },
      { nothing: 1 },
    ];
    for (const filter of filters) {
      for (const query of ["cat", "birds stone stone", "a the unseen", ""])
        await same(async (store) => rounded(await store.searchWords(query, { depth: 50, filter })));
      await same(async (store) =>
        (await store.searchVectors(Float32Array.of(1, 2, 0.5, -1, 0, 1), { depth: 50, filter })).map(rounded),
      );
      await same(async (store) => (await store.searchWeights(queryWeights, { depth: 50, filter })).map(rounded));
    }
    const weighted = new Map([
      ["cat", 0.25],
      ["bird", 1.5],
      ["unseen", 2],
    ]);
    await same(async (store) => rounded(await store.searchWords(weighted, { depth: 50 })));
    expect(await same((store) => store.frequencies([...weighted.keys(), "bird"]))).toMatchObject({ 2: 0 });
    expect(await same(async (store) => store.terms("Birds, cats"))).toEqual(["bird", "cat"]);
    const [words5, vectors5] = [
      await both((store) => store.searchWords("bird", { depth: 5 })),
      await both((store) => store.searchVectors(Float32Array.of(1, 2, 0.5), { depth: 5 })),
    ];
    expect(words5[1].map(({ score }) => score.toFixed(4))).toEqual(words5[0].map(({ score }) => score.toFixed(4)));
    expect(vectors5[1][0].map(({ score }) => score.toFixed(4))).toEqual(
      vectors5[0][0].map(({ score }) => score.toFixed(4)),
    );
    for (const store of stores) {
      await store.compact();
      await store.close();
    }
    const again = await openPostgresStore(server.url, { fingerprint: "a" });
    expect(await again.size()).toBe(19);
    await again.close();
  });

  test("weights of words, as in a folder", async () => {
    const settings = { create: { weights: { ...weights, terms: "words" } as const } };
    const stores = [
      embeddedStore(openIndex(mkdtempSync(join(tmpdir(), "cloze-words-")), { write: true, ...settings })),
      await openPostgresStore(server.url, { schema: "weighed", ...settings }),
    ];
    const all = documents.map(({ text }, i) => new Map(text.split(" ").map((word) => [word, (i + word.length) / 7])));
    const query = new Map([
      ["cats", 1],
      ["stones", 2],
      ["unseen", 1],
    ]);
    const found = [];
    for (const store of stores) {
      await store.add(documents, { weights: all });
      await expect(store.add(documents, { weights: weightsOf(documents) })).rejects.toMatchObject({
        code: "INDEX_TERMS",
      });
      await expect(store.searchWeights(queryWeights, { depth: 5 })).rejects.toMatchObject({ code: "INDEX_TERMS" });
      const [hits] = await store.searchWeights([query], { depth: 50 });
      found.push(hits.map(({ id, score }) => `${score.toFixed(4)} ${id}`).sort());
      await store.close();
    }
    expect(found[1]).toEqual(found[0]);
    const plain = documents
      .map(({ id }, i) => ({ id, score: (all[i].get("cats") ?? 0) + 2 * (all[i].get("stones") ?? 0) }))
      .filter(({ score }) => score > 0);
    expect(found[0]).toHaveLength(plain.length);
    for (const { id, score } of plain) {
      const line = found[0].find((one) => one.endsWith(` ${id}`)) as string;
      expect(Math.abs(Number(line.split(" ")[0]) - score), id).toBeLessThan(0.002);
    }
  });

  test("what is wrong has the same codes", async () => {
    const store = await openPostgresStore(server.url, { schema: "wrong", create });
    const one = [documents[0]];
    await expect(store.add(one)).rejects.toMatchObject({ code: "INDEX_WIDTH" });
    await expect(store.add(one, { vectors: Float32Array.of(1, 2, 3) })).rejects.toMatchObject({ code: "INDEX_WIDTH" });
    await expect(store.add(one, { vectors: Float32Array.of(1, 2, Number.NaN) })).rejects.toMatchObject({
      code: "INDEX_VECTOR",
    });
    await expect(store.searchVectors(Float32Array.of(1), { depth: 1 })).rejects.toMatchObject({ code: "INDEX_WIDTH" });
    expect(await store.size()).toBe(0);
    await store.add([{ id: "empty", text: "" }], {
      vectors: new Float32Array(3),
      weights: weightsOf([{ id: "e0", text: "" }]),
    });
    expect(store.warnings()).toMatchObject([{ code: "INDEX_TEXT_EMPTY", count: 1 }]);
    await store.close();
    const open = (options: Parameters<typeof openPostgresStore>[1]) => openPostgresStore(server.url, options);
    await expect(open({ schema: "wrong", fingerprint: "b" })).rejects.toMatchObject({ code: "INDEX_MODEL" });
    await expect(open({ schema: "nowhere" })).rejects.toMatchObject({ code: "INDEX_MISSING" });
    await expect(open({ schema: "Robert'); DROP" })).rejects.toMatchObject({ code: "POSTGRES_SCHEMA" });
    const words = await open({ schema: "words", create: {}, approximate: true });
    await words.add(one);
    await expect(words.searchVectors(Float32Array.of(1), { depth: 1 })).rejects.toMatchObject({
      code: "INDEX_NO_VECTORS",
    });
    await expect(words.searchWeights(queryWeights, { depth: 1 })).rejects.toMatchObject({ code: "INDEX_NO_WEIGHTS" });
    await expect(words.searchTokens([], { depth: 1 })).rejects.toMatchObject({ code: "INDEX_NO_TOKENS" });
    const tokens = { model: "toy", fingerprint: "t", width: 8, bits: 2 } as const;
    await expect(open({ schema: "tokens", create: { tokens } })).rejects.toMatchObject({ code: "INDEX_STORAGE" });
    await expect(open({ schema: "tokens" })).rejects.toMatchObject({ code: "INDEX_MISSING" });
    await words.close();
  });

  test("an approximate index of vectors", async () => {
    const store = await openPostgresStore(server.url, { schema: "near", create, approximate: true });
    await store.add(documents, { vectors: rowsOf(documents), weights: weightsOf(documents) });
    const [[best]] = await store.searchVectors(Float32Array.of(1, 0, 0), { depth: 3 });
    expect(best.score).toBeCloseTo(6, 4);
    await store.close();
  });
});
