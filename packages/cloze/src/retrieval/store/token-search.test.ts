import { mkdtempSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { errorCode } from "../../../test/error-code.js";
import { randomSource } from "../../data/random-source.js";
import { createLateInteractionIndex } from "../late-interaction/late-interaction-index.js";
import { maxSim } from "../late-interaction/late-search.js";
import { sampleTokens, trainTokenCodec } from "../late-interaction/token-codec.js";
import type { SearchIndex } from "./contract.js";
import type { IndexedDocument } from "./document.js";
import { openIndex } from "./search-index.js";

const newFolder = () => mkdtempSync(join(tmpdir(), "cloze-tokens-"));
const width = 16;
const facts = { model: "toy", fingerprint: "c".repeat(64), width, bits: 4 } as const;
const create = { tokens: facts };
/** Vectors of length 1 about one of a few topics; a number says which. */
function tokensOf(seed: number, count = 1 + (seed % 4)): Float32Array {
  const tokens = new Float32Array(count * width);
  for (let t = 0; t < count; t++) {
    const topic = randomSource(1 + ((seed + t) % 9));
    const noise = randomSource(1000 + seed * 7 + t);
    const row = Array.from({ length: width }, () => topic() - 0.5 + 0.2 * (noise() - 0.5));
    const length = Math.hypot(...row);
    row.forEach((value, c) => {
      tokens[t * width + c] = value / length;
    });
  }
  return tokens;
}
const documentOf = (seed: number, id = `d${seed}`): IndexedDocument => ({
  id,
  text: `text ${seed}`,
  fields: { year: 2000 + (seed % 4) },
});
const seeds = (count: number) => Array.from({ length: count }, (_, seed) => seed);
const add = (index: SearchIndex, list: readonly number[]) =>
  index.add(
    list.map((seed) => documentOf(seed)),
    { tokens: list.map((seed) => tokensOf(seed)) },
  );
const query = tokensOf(5, 3);
const exact = { depth: 1000, exact: true } as const;
const search = (index: SearchIndex, options: Parameters<SearchIndex["searchTokens"]>[1] = exact) =>
  index.searchTokens([query], options)[0];

test("finds what the index in memory finds: the same codec, the same codes, the same order", () => {
  const folder = newFolder();
  const index = openIndex(folder, { write: true, create, segmentSize: 30 });
  const all = seeds(100);
  const memory = createLateInteractionIndex(
    all.map((seed) => tokensOf(seed)),
    width,
    { bits: 4 },
  );
  // In one batch, so that both learn from the same tokens; a compaction then spreads them over segments.
  add(index, all);
  index.add([documentOf(0, "gone")], { tokens: [tokensOf(0)] });
  index.remove(["gone"]);
  index.compact();
  expect(index.segments).toBe(4);
  const same = (hits: readonly { index: number; score: number }[]) =>
    hits.map(({ index: at, score }) => ({ id: `d${at}`, score }));
  const plaid = { cells: 2, threshold: 0.3, candidates: 40 };
  const queries = [3, 20, 70].map((seed) => tokensOf(seed, 4));
  const check = (one: SearchIndex) => {
    const found = one.searchTokens(queries, exact);
    const pruned = one.searchTokens(queries, { depth: 10, ...plaid });
    for (const [q, rows] of queries.entries()) {
      // Several queries at once: other sums of the same products.
      const alone = same(memory.search(rows, 1000));
      expect(found[q].map(({ id }) => id)).toEqual(alone.map(({ id }) => id));
      for (const [i, { score }] of found[q].entries()) expect(score).toBeCloseTo(alone[i].score, 5);
      expect(one.searchTokens([rows], exact)[0]).toEqual(alone);
      expect(pruned[q]).toEqual(same(memory.search(rows, 10, plaid)));
      expect(pruned[q].length).toBe(10);
    }
  };
  check(index);
  index.close();
  const reader = openIndex(folder);
  check(reader);
  expect(reader.searchTokens([], exact)).toEqual([]);
  expect(reader.searchTokens([new Float32Array(0)], exact)).toEqual([[]]);
  reader.close();
});

test("adding, replacing, removing, compacting, opening again: always MaxSim over what a map would hold", () => {
  const step = fc.record({
    kind: fc.constantFrom("add", "add", "remove", "reopen", "compact"),
    ids: fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 6 }),
    seed: fc.nat(50),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 14 }), (steps) => {
      const folder = newFolder();
      const open = () => openIndex(folder, { write: true, create, segmentSize: 5 });
      let index = open();
      const codec = trainTokenCodec(
        sampleTokens(
          seeds(20).map((seed) => tokensOf(seed)),
          width,
        ),
        width,
        { bits: 4 },
      );
      add(index, seeds(20));
      const model = new Map(seeds(20).map((seed) => [`d${seed}`, seed]));
      const check = (one: SearchIndex) => {
        const expected = [...model].map(([id, seed]) => ({
          id,
          score: maxSim(query, codec.decode(codec.encode(tokensOf(seed))), width),
        }));
        const hits = search(one);
        const scores = new Map(hits.map(({ id, score }) => [id, score]));
        expect(hits.length).toBe(model.size);
        for (const { id, score } of expected) expect(scores.get(id)).toBeCloseTo(score, 5);
        expect(hits.map(({ score }) => score)).toEqual([...scores.values()].sort((a, b) => b - a));
      };
      for (const { kind, ids, seed } of steps) {
        if (kind === "add") {
          index.add(
            ids.map((id, i) => documentOf(seed + i, `d${id}`)),
            { tokens: ids.map((_, i) => tokensOf(seed + i)) },
          );
          ids.forEach((id, i) => {
            model.set(`d${id}`, seed + i);
          });
        } else if (kind === "remove") {
          index.remove(ids.map((id) => `d${id}`));
          for (const id of ids) model.delete(`d${id}`);
        } else if (kind === "compact") index.compact();
        else {
          index.close();
          index = open();
        }
        const reader = openIndex(folder);
        check(reader);
        reader.close();
      }
      check(index);
      for (const [id, seed] of model) expect(index.get(id)).toEqual(documentOf(seed, id));
      index.close();
      rmSync(folder, { recursive: true });
    }),
    { numRuns: 15 },
  );
});

test("a filter passes documents over before they are pruned", () => {
  const index = openIndex(newFolder(), { write: true, create });
  add(index, seeds(200));
  const filter = { year: 2001 };
  const wanted = search(index).filter(({ id }) => Number(id.slice(1)) % 4 === 1);
  expect(search(index, { ...exact, filter })).toEqual(wanted);
  expect(wanted.length).toBe(50);
  // As few as would be decoded anyway: all of them are looked at, whatever their cells.
  expect(search(index, { depth: 50, filter })).toEqual(wanted);
  const pruned = search(index, { depth: 5, filter, cells: 5, candidates: 24 });
  expect(pruned.length).toBe(5);
  for (const hit of pruned) expect(wanted).toContainEqual(hit);
  expect(search(index, { depth: 5, filter: { year: 1 } })).toEqual([]);
  index.close();
});

test("documents and batches without tokens; the codec is learned from the first that have some", () => {
  const folder = newFolder();
  let index = openIndex(folder, { write: true, create });
  index.add([documentOf(1, "empty")], { tokens: [new Float32Array(0)] });
  expect(search(index)).toEqual([]);
  index.close();
  index = openIndex(folder, { write: true });
  expect(search(index)).toEqual([]);
  add(index, seeds(8));
  expect(search(index).length).toBe(8);
  index.compact();
  index.close();
  const reader = openIndex(folder);
  expect(reader.size).toBe(9);
  expect(search(reader).length).toBe(8);
  reader.close();
});

test("a codec that the index has outgrown is warned of", () => {
  const folder = newFolder();
  const index = openIndex(folder, { write: true, create });
  add(index, [0, 4]);
  add(index, seeds(30));
  expect(index.warnings.list()).toEqual([]);
  add(index, seeds(50));
  const warned = [{ code: "INDEX_CODEC_SMALL", first: "2 tokens" }];
  expect(index.warnings.list()).toMatchObject(warned);
  index.close();
  const reader = openIndex(folder);
  expect(reader.warnings.list()).toMatchObject(warned);
  reader.close();
});

test("vectors that no search could use are refused, and none of their batch is kept", () => {
  const folder = newFolder();
  const index = openIndex(folder, { write: true, create });
  const bad = (tokens: Float32Array[] | undefined) =>
    errorCode(() => index.add([documentOf(0), documentOf(1)], { tokens }));
  const changed = (at: number, value: number) => {
    const tokens = tokensOf(3);
    tokens[at] = value;
    return [tokensOf(2), tokens];
  };
  expect(bad(undefined)).toBe("INDEX_WIDTH");
  expect(bad([tokensOf(1)])).toBe("INDEX_WIDTH");
  expect(bad([tokensOf(1), new Float32Array(width + 1)])).toBe("INDEX_WIDTH");
  expect(bad(changed(width + 2, Number.NaN))).toBe("INDEX_VECTOR");
  expect(bad(changed(0, Number.POSITIVE_INFINITY))).toBe("INDEX_VECTOR");
  expect(bad(changed(0, 5))).toBe("INDEX_VECTOR");
  expect(bad([tokensOf(2), new Float32Array(width)])).toBe("INDEX_VECTOR");
  expect(index.size).toBe(0);
  add(index, seeds(5));
  expect(errorCode(() => index.searchTokens([new Float32Array(3)], exact))).toBe("INDEX_WIDTH");
  expect(errorCode(() => index.searchTokens([new Float32Array(width).fill(Number.NaN)], exact))).toBe("INDEX_VECTOR");
  index.close();
  expect(errorCode(() => openIndex(folder, { fingerprint: "b".repeat(64) }))).toBe("INDEX_MODEL");
  // An index without token vectors is one that every Cloze reads.
  const plain = newFolder();
  const words = openIndex(plain, { write: true, create: {} });
  expect(JSON.parse(readFileSync(join(plain, "index.json"), "utf8")).version).toBe(1);
  expect(errorCode(() => words.searchTokens([query], exact))).toBe("INDEX_NO_TOKENS");
  words.close();
});

test("a codec that is missing, cut, bent or another's is told of, never searched with", () => {
  const folder = newFolder();
  const made = (where: string, list: readonly number[]) => {
    const index = openIndex(where, { write: true, create });
    add(index, list);
    index.close();
  };
  made(folder, seeds(12));
  const path = join(folder, "tokens.codec");
  const whole = readFileSync(path);
  const other = newFolder();
  made(other, seeds(30));
  const bent = Buffer.from(whole);
  bent[bent.length - 3] ^= 1;
  for (const harm of [
    () => rmSync(path),
    () => truncateSync(path, whole.length >> 1),
    () => writeFileSync(path, bent),
    () => writeFileSync(path, readFileSync(join(other, "tokens.codec"))),
  ]) {
    harm();
    expect(errorCode(() => openIndex(folder))).toBe("INDEX_CODEC");
    expect(errorCode(() => openIndex(folder, { write: true }))).toBe("INDEX_CODEC");
    writeFileSync(path, whole);
  }
  const reader = openIndex(folder);
  expect(search(reader).length).toBe(12);
  reader.close();
  // The index no longer says which codec is its own.
  const manifest = join(folder, "index.json");
  const text = readFileSync(manifest, "utf8");
  const { tokens, ...rest } = JSON.parse(text);
  writeFileSync(manifest, JSON.stringify({ ...rest, tokens: { ...tokens, codec: undefined } }));
  expect(errorCode(() => openIndex(folder))).toBe("INDEX_CODEC");
  expect(rest.version).toBe(2);
});

test("killed between the codec and the first document: another codec is learned, and what is left of the first goes", () => {
  const folder = newFolder();
  const path = join(folder, "tokens.codec");
  openIndex(folder, { write: true, create }).close();
  const other = newFolder();
  const index = openIndex(other, { write: true, create });
  add(index, seeds(30));
  index.close();
  // Before the manifest names it.
  renameSync(join(other, "tokens.codec"), path);
  const again = openIndex(folder, { write: true });
  expect(errorCode(() => readFileSync(path))).toBe("ENOENT");
  add(again, seeds(6));
  again.close();
  // After: the log has nothing yet.
  rmSync(join(folder, "segment-000001.log"));
  const writer = openIndex(folder, { write: true });
  expect(search(writer)).toEqual([]);
  const codec = readFileSync(path);
  add(writer, [40, 41]);
  expect(search(writer).length).toBe(2);
  writer.close();
  expect(readFileSync(path)).toEqual(codec);
});

test("a log cut anywhere in the codes: every whole document is there, and more can be added", () => {
  const folder = newFolder();
  let index = openIndex(folder, { write: true, create });
  for (const seed of seeds(4)) add(index, [seed]);
  const hits = search(index);
  index.close();
  const log = join(folder, "segment-000001.log");
  const whole = readFileSync(log);
  for (const cut of [1, 5, 20]) {
    writeFileSync(log, whole.subarray(0, whole.length - cut));
    index = openIndex(folder, { write: true });
    expect(search(index)).toEqual(hits.filter(({ id }) => id !== "d3"));
    add(index, [3]);
    expect(search(index)).toEqual(hits);
    index.close();
  }
});
