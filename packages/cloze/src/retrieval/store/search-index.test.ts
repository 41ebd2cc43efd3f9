import { execFileSync } from "node:child_process";
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { errorCode } from "../../../test/error-code.js";
import { Bm25Index } from "../bm25.js";
import { createImpactIndex, type SparseVector } from "../learned-sparse/impact-index.js";
import { createAnalyzer } from "../lexical/analyzer.js";
import type { SearchIndex } from "./contract.js";
import type { IndexedDocument } from "./document.js";
import { openIndex } from "./search-index.js";
import { openByLog } from "./segment.js";
import { lockFolder } from "./write-lock.js";

const newFolder = () => mkdtempSync(join(tmpdir(), "cloze-index-"));
const vectors = { width: 3, storage: "float32", model: "toy", fingerprint: "a".repeat(64) } as const;

const words = ["cat", "dog", "bird", "stone"];
const documentOf = (id: string, seed: number): IndexedDocument => ({
  id,
  text: Array.from({ length: (seed % 5) + 1 }, (_, i) => words[(seed * 7 + i * i) % 4]).join(" "),
  fields: { year: 2000 + (seed % 4), tags: [words[seed % 4], "all"], price: ["4.50", "007", "-3", "4.x"][seed % 4] },
});
const vectorOf = (seed: number): number[] => [seed % 3, (seed % 5) - 2, 1];
const weights = { model: "toy", fingerprint: "b".repeat(64) };
/** Terms 0 to 3, some of them. */
const weightsOf = (seed: number): SparseVector => {
  const terms = [0, 1, 2, 3].filter((term) => (seed + term) % 3 > 0);
  return { terms: Uint32Array.from(terms), weights: Float32Array.from(terms, (term) => ((seed * 5 + term) % 7) / 4) };
};
const queryWeights = { terms: Uint32Array.of(1, 2, 9), weights: Float32Array.of(1.5, 0.5, 3) };

/** What an index must say, worked out from all its documents. */
function check(index: SearchIndex, model: ReadonlyMap<string, number>): void {
  expect(index.size).toBe(model.size);
  const ids = [...index.documents()].map(({ id }) => id);
  expect([...ids].sort()).toEqual([...model.keys()].sort());
  const plain = new Bm25Index(ids.map((id) => documentOf(id, model.get(id) as number).text));
  const byScore = (hits: readonly { id: string; score: number }[]) =>
    [...hits].map(({ id, score }) => `${score.toFixed(4)} ${id}`).sort();
  for (const query of ["cat dog", "stone stone bird"]) {
    const expected = plain.search(query, 100).map(({ index: at, score }) => ({ id: ids[at], score }));
    expect(byScore(index.searchWords(query, { depth: 100 }))).toEqual(byScore(expected));
  }
  const [hits] = index.searchVectors(Float32Array.of(1, -1, 0.5), { depth: 100 });
  const products = ids.map((id) => {
    const [a, b, c] = vectorOf(model.get(id) as number);
    return { id, score: a - b + 0.5 * c };
  });
  expect(byScore(hits)).toEqual(byScore(products));
  if (index.settings.weights !== undefined) {
    const [weighed] = index.searchWeights([queryWeights], { depth: 100 });
    const scores = createImpactIndex(ids.map((id) => weightsOf(model.get(id) as number))).scores(queryWeights);
    expect(byScore(weighed)).toEqual(
      byScore(ids.map((id, i) => ({ id, score: scores[i] })).filter((hit) => hit.score > 0)),
    );
  }
  for (const id of ids) expect(index.get(id)).toEqual(documentOf(id, model.get(id) as number));
}

test("adding, replacing, removing, compacting, opening again: always what a map would hold", () => {
  const step = fc.oneof(
    fc.record({
      kind: fc.constant("add" as const),
      ids: fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 6 }),
      seed: fc.nat(50),
    }),
    fc.record({
      kind: fc.constant("remove" as const),
      ids: fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 3 }),
      seed: fc.nat(50),
    }),
    fc.record({
      kind: fc.constantFrom("reopen" as const, "compact" as const),
      ids: fc.constant([]),
      seed: fc.constant(0),
    }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 14 }), (steps) => {
      const folder = newFolder();
      const open = () => openIndex(folder, { write: true, create: { vectors, weights }, segmentSize: 5 });
      let index = open();
      const model = new Map<string, number>();
      for (const { kind, ids, seed } of steps) {
        if (kind === "add") {
          const documents = ids.map((id, i) => documentOf(String(id), seed + i));
          const rows = Float32Array.from(ids.flatMap((_, i) => vectorOf(seed + i)));
          const termWeights = ids.map((_, i) => weightsOf(seed + i));
          index.add(documents, { vectors: rows, weights: termWeights });
          ids.forEach((id, i) => {
            model.set(String(id), seed + i);
          });
        } else if (kind === "remove") {
          const names = new Set(ids.map(String));
          expect(index.remove([...names, "nobody"])).toBe([...names].filter((id) => model.delete(id)).length);
        } else if (kind === "compact") index.compact();
        else {
          index.close();
          index = open();
        }
        const reader = openIndex(folder);
        check(reader, model);
        reader.close();
      }
      check(index, model);
      index.close();
      rmSync(folder, { recursive: true });
    }),
    { numRuns: 25 },
  );
});

test("weights of terms: filtered, cut where they are too large, refused where they are none", () => {
  const index = openIndex(newFolder(), { write: true, create: { weights } });
  const seeds = Array.from({ length: 12 }, (_, i) => i);
  const documents = seeds.map((seed) => documentOf(`d${seed}`, seed));
  index.add(documents, { weights: seeds.map(weightsOf) });
  const [all] = index.searchWeights([queryWeights], { depth: 20 });
  const [some] = index.searchWeights([queryWeights], { depth: 20, filter: { year: 2001 } });
  const seedOf = ({ id }: { id: string }) => Number(id.slice(1));
  expect(some).toEqual(all.filter((hit) => seedOf(hit) % 4 === 1));
  expect(some.length).toBeGreaterThan(0);
  expect(index.searchWeights([queryWeights], { depth: 2 })[0]).toEqual(all.slice(0, 2));
  const one = (weight: number) => [{ terms: Uint32Array.of(5), weights: Float32Array.of(weight) }];
  index.add([{ id: "large", text: "a" }], { weights: one(100) });
  expect(index.warnings.list()).toMatchObject([{ code: "INDEX_WEIGHT_CUT", count: 1 }]);
  const five = { terms: Uint32Array.of(5), weights: Float32Array.of(1) };
  expect(index.searchWeights([five], { depth: 1 })[0][0].score).toBeCloseTo(65.535, 4);
  for (const bad of [Number.NaN, -1, Number.POSITIVE_INFINITY])
    expect(errorCode(() => index.add([{ id: "bad", text: "a" }], { weights: one(bad) }))).toBe("INDEX_VECTOR");
  expect(errorCode(() => index.add([{ id: "bad", text: "a" }]))).toBe("INDEX_WIDTH");
  expect(index.has("bad")).toBe(false);
  index.close();
});

test("filters: values, lists, bounds, not", () => {
  const index = openIndex(newFolder(), { write: true, create: { vectors } });
  const seeds = Array.from({ length: 12 }, (_, i) => i);
  index.add(
    seeds.map((seed) => documentOf(`d${seed}`, seed)),
    { vectors: Float32Array.from(seeds.flatMap(vectorOf)) },
  );
  index.remove(["d2"]);
  const found = (filter: Parameters<SearchIndex["searchVectors"]>[1]["filter"]) =>
    index.searchVectors(Float32Array.of(0, 0, 1), { depth: 20, filter })[0].map(({ id }) => Number(id.slice(1)));
  const expected = (keep: (seed: number) => boolean) => seeds.filter((seed) => seed !== 2 && keep(seed));
  expect(found({ year: 2001 })).toEqual(expected((seed) => seed % 4 === 1));
  expect(found({ year: [2001, 2003] })).toEqual(expected((seed) => seed % 2 === 1));
  expect(found({ year: { gte: 2001, lt: 2003 }, tags: "all" })).toEqual(expected((seed) => [1, 2].includes(seed % 4)));
  expect(found({ tags: { not: "cat" } })).toEqual(expected((seed) => seed % 4 !== 0));
  expect(found({ year: "2001" })).toEqual([]);
  // Bounds look at texts that write a number out; values are what they are.
  expect(found({ price: { gt: -10 } })).toEqual(expected((seed) => [0, 2].includes(seed % 4)));
  expect(found({ price: { gt: -10, lte: 4 } })).toEqual(expected((seed) => seed % 4 === 2));
  expect([found({ price: 4.5 }), found({ price: "4.50" })]).toEqual([[], expected((seed) => seed % 4 === 0)]);
  expect(found({ nothing: 1 })).toEqual([]);
  expect(
    index.searchWords("cat", { depth: 20, filter: { year: 2001 } }).every(({ id }) => Number(id.slice(1)) % 4 === 1),
  ).toBe(true);
  index.close();
});

test.each(["int8", "binary"] as const)("vectors in %s find the same neighbour", async (storage) => {
  const folder = newFolder();
  const width = 32;
  const index = openIndex(folder, { write: true, create: { vectors: { ...vectors, width, storage } } });
  const rows = Array.from({ length: 40 }, (_, row) =>
    Float32Array.from({ length: width }, (_, c) => Math.sin(row * 13.7 + c * (row + 1))),
  );
  const all = new Float32Array(40 * width);
  rows.forEach((row, i) => {
    all.set(row, i * width);
  });
  index.add(
    rows.map((_, i) => ({ id: `d${i}`, text: "" })),
    { vectors: all },
  );
  expect(index.warnings.list()).toMatchObject([{ code: "INDEX_TEXT_EMPTY", count: 40 }]);
  index.compact();
  for (const [i, row] of rows.entries()) expect(index.searchVectors(row, { depth: 1 })[0][0].id).toBe(`d${i}`);
  // A second segment, and one that is gone.
  const more = { id: "more", text: "more" };
  index.add([more], { vectors: rows[3] });
  index.remove(["d5"]);
  const found = index.searchVectors(all, { depth: 7 });
  expect(found[3].slice(0, 2).map(({ id }) => id)).toEqual(["d3", "more"]);
  expect(await index.searchVectorsAsync(all, { depth: 7 })).toEqual(found);
  await expect(index.searchVectorsAsync(all.subarray(1), { depth: 1 })).rejects.toMatchObject({ code: "INDEX_WIDTH" });
  const bytes = statSync(join(folder, "segment-000001.vectors")).size;
  expect(bytes).toBe(40 * (storage === "int8" ? width + 4 : width / 8));
  index.close();
});

test("a log cut anywhere: every whole document is there, and more can be added", () => {
  const folder = newFolder();
  const open = () => openIndex(folder, { write: true, create: { vectors, weights } });
  let index = open();
  const add = (id: string, seed: number) =>
    index.add([documentOf(id, seed)], { vectors: Float32Array.from(vectorOf(seed)), weights: [weightsOf(seed)] });
  for (let seed = 0; seed < 6; seed++) add(`d${seed}`, seed);
  index.close();
  const log = join(folder, "segment-000001.log");
  const whole = readFileSync(log);
  const rows = readFileSync(join(folder, "segment-000001.vectors"));
  const write = (bytes: Buffer) => {
    writeFileSync(log, bytes);
    writeFileSync(join(folder, "segment-000001.vectors"), rows);
  };
  const cuts: number[] = [];
  for (let at = 0; at < whole.length; at += 8 + whole.readUInt32LE(at)) cuts.push(at);
  for (const cut of [whole.length - 1, cuts[4] + 3, cuts[3], cuts[1] + 9, 2]) {
    write(whole.subarray(0, cut));
    const there = cuts.filter((_, i) => (cuts[i + 1] ?? whole.length) <= cut).length;
    index = open();
    check(index, new Map(Array.from({ length: there }, (_, seed) => [`d${seed}`, seed])));
    add("new", 9);
    index.close();
    index = open();
    check(
      index,
      new Map([...Array.from({ length: there }, (_, seed) => [`d${seed}`, seed] as const), ["new", 9] as const]),
    );
    index.close();
  }
  // Bits that changed, and noise behind the end.
  const bent = Buffer.from(whole);
  bent[cuts[2] + 20] ^= 1;
  write(bent);
  index = open();
  check(
    index,
    new Map([
      ["d0", 0],
      ["d1", 1],
    ]),
  );
  index.close();
  appendFileSync(log, "noise");
  index = open();
  check(
    index,
    new Map([
      ["d0", 0],
      ["d1", 1],
    ]),
  );
  index.close();
});

test("a closed segment: what is derived is made again; a cut is counted", () => {
  const folder = newFolder();
  const open = () => openIndex(folder, { write: true, create: { vectors }, segmentSize: 4 });
  let index = open();
  const model = new Map<string, number>();
  for (let seed = 0; seed < 4; seed++) {
    index.add([documentOf(`d${seed}`, seed)], { vectors: Float32Array.from(vectorOf(seed)) });
    model.set(`d${seed}`, seed);
  }
  index.close();
  const derived = join(folder, "segment-000001.index");
  for (const harm of [
    () => rmSync(derived),
    () => truncateSync(derived, 100),
    () => writeFileSync(derived, "nonsense"),
  ]) {
    harm();
    const reader = openIndex(folder);
    check(reader, model);
    reader.close();
    index = open();
    check(index, model);
    expect(index.warnings.list()).toEqual([]);
    index.close();
    expect(statSync(derived).size).toBeGreaterThan(200);
  }
  const log = join(folder, "segment-000001.log");
  truncateSync(log, statSync(log).size >> 1);
  index = open();
  expect(index.warnings.list()).toMatchObject([{ code: "INDEX_SEGMENT_CUT", count: 1 }]);
  check(index, new Map([...model].slice(0, index.size)));
  expect(index.size).toBeGreaterThan(0);
  index.close();
});

test("what a killed writer derived before it said so does not hide what came after", () => {
  const folder = newFolder();
  const add = (seed: number) => {
    const index = openIndex(folder, { write: true, create: {} });
    index.add([documentOf(`d${seed}`, seed)]);
    index.close();
  };
  add(1);
  const segment = openByLog(folder, "segment-000001", { analyze: createAnalyzer(), tokenBytes: 0 }, true);
  segment.seal();
  segment.close();
  add(2);
  const reader = openIndex(folder);
  expect(reader.size).toBe(2);
  reader.close();
});

test("two writers, other models, other versions, wrong vectors", () => {
  const folder = newFolder();
  const index = openIndex(folder, { write: true, create: { vectors } });
  expect(errorCode(() => openIndex(folder, { write: true }))).toBe("INDEX_LOCKED");
  const one = [documentOf("a", 1)];
  expect(errorCode(() => index.add(one))).toBe("INDEX_WIDTH");
  expect(errorCode(() => index.add(one, { vectors: Float32Array.of(1, 2) }))).toBe("INDEX_WIDTH");
  expect(errorCode(() => index.add(one, { vectors: Float32Array.of(1, Number.NaN, 2) }))).toBe("INDEX_VECTOR");
  expect(index.size).toBe(0);
  index.add(one, { vectors: new Float32Array(3) });
  expect(index.warnings.list()).toMatchObject([{ code: "INDEX_VECTOR_ZERO", count: 1 }]);
  expect(errorCode(() => index.searchVectors(Float32Array.of(1), { depth: 1 }))).toBe("INDEX_WIDTH");
  const reader = openIndex(folder);
  expect(errorCode(() => reader.add(one, { vectors: new Float32Array(3) }))).toBe("INDEX_READ_ONLY");
  reader.close();
  index.close();
  expect(errorCode(() => openIndex(folder, { fingerprint: "b".repeat(64) }))).toBe("INDEX_MODEL");
  expect(errorCode(() => openIndex(join(folder, "nowhere")))).toBe("INDEX_MISSING");
  const manifest = readFileSync(join(folder, "index.json"), "utf8");
  writeFileSync(join(folder, "index.json"), manifest.replace('"version": 1', '"version": 3'));
  expect(errorCode(() => openIndex(folder))).toBe("INDEX_VERSION");
  writeFileSync(join(folder, "index.json"), "{");
  expect(errorCode(() => openIndex(folder))).toBe("INDEX_FILE");
  const wordsOnly = openIndex(newFolder(), { write: true, create: {} });
  wordsOnly.add(one);
  expect(errorCode(() => wordsOnly.searchVectors(Float32Array.of(1), { depth: 1 }))).toBe("INDEX_NO_VECTORS");
  expect(errorCode(() => wordsOnly.searchWeights([], { depth: 1 }))).toBe("INDEX_NO_WEIGHTS");
  wordsOnly.close();
});

test("a dead process's lock is taken over; a live one's is not", () => {
  const folder = newFolder();
  const dead = execFileSync(process.execPath, ["-e", "console.log(process.pid)"], { encoding: "utf8" }).trim();
  const lock = join(folder, "lock");
  const { hostname } = JSON.parse(
    execFileSync(process.execPath, ["-p", "JSON.stringify({hostname:os.hostname()})"], { encoding: "utf8" }),
  );
  writeFileSync(lock, JSON.stringify({ pid: Number(dead), host: hostname }));
  const unlock = lockFolder(folder);
  expect(() => lockFolder(folder)).toThrow(/another process/);
  unlock();
  expect(existsSync(lock)).toBe(false);
  // The id of a process that is alive, of one that began at another time.
  writeFileSync(lock, JSON.stringify({ pid: process.pid, host: hostname, started: "1" }));
  if (process.platform === "linux") lockFolder(folder)();
  writeFileSync(lock, JSON.stringify({ pid: 1, host: "elsewhere" }));
  expect(() => lockFolder(folder)).toThrow(/elsewhere/);
  writeFileSync(lock, "");
  lockFolder(folder)();
  expect(readdirSync(folder)).toEqual([]);
});
