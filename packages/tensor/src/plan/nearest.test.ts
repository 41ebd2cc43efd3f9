import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { backend, createReferenceBackend, withBackend } from "../backend/index.js";
import { createNearest, nearestRowBytes, type RowKind } from "./nearest.js";

const kinds: RowKind[] = ["float32", "int8", "binary"];

/** Whole numbers, so that every order of additions gives the same sums, and many of them are equal. */
function rowsOf(kind: RowKind, count: number, width: number, seed: number): Uint8Array {
  const bytes = nearestRowBytes(kind, width);
  const rows = new Uint8Array(count * bytes);
  const view = new DataView(rows.buffer);
  let state = seed;
  const next = () => {
    state = (state * 1103515245 + 12345) & 0x7fffffff;
    return state >> 16;
  };
  for (let row = 0; row < count; row++) {
    if (kind === "int8") view.setFloat32(row * bytes, 0.5, true);
    for (let c = 0; c < width; c++) {
      const value = (next() % 7) - 3;
      if (kind === "float32") view.setFloat32(row * bytes + 4 * c, value, true);
      else if (kind === "int8") view.setInt8(row * bytes + 4 + c, value);
      else if (value > 0) rows[row * bytes + (c >> 3)] |= 1 << (c & 7);
    }
  }
  return rows;
}

function search(
  kind: RowKind,
  rows: Uint8Array,
  queries: Float32Array,
  width: number,
  k: number,
  cut: number,
  skip?: Uint8Array,
) {
  const nearest = createNearest(queries, width, k);
  const bytes = nearestRowBytes(kind, width);
  nearest.visit(kind, rows.subarray(0, cut * bytes), 0, skip?.subarray(0, cut));
  nearest.visit(kind, rows.subarray(cut * bytes), cut, skip?.subarray(cut));
  return nearest.hits();
}

describe.skipIf(backend().name === "reference")("the kernel", () => {
  test.each(kinds)(
    "%s rows: the kernel finds what the reference finds, in one piece or two, with rows skipped",
    (kind) => {
      const reference = createReferenceBackend();
      const shape = fc.record({
        count: fc.integer({ min: 1, max: 150 }),
        width: fc.constantFrom(1, 3, 16, 33, 64),
        queries: fc.constantFrom(1, 2, 17, 40),
        k: fc.constantFrom(1, 4, 20, 200),
        seed: fc.integer({ min: 1, max: 1000 }),
        skipped: fc.boolean(),
      });
      fc.assert(
        fc.property(shape, ({ count, width, queries, k, seed, skipped }) => {
          const rows = rowsOf(kind, count, width, seed);
          const query = new Float32Array(rowsOf("float32", queries, width, seed + 1).buffer);
          const skip = skipped ? Uint8Array.from({ length: count }, (_, row) => Number(row % 3 === 0)) : undefined;
          const expected = withBackend(reference, () => search(kind, rows, query, width, k, 0, skip));
          const found = search(kind, rows, query, width, k, count >> 1, skip);
          // Signs are no whole numbers: equal scores may differ in their last bits, and with it their order.
          if (kind !== "binary") {
            expect(found).toEqual(expected);
            return;
          }
          const rounded = (hits: typeof found) =>
            hits.map((list) => list.map(({ score }) => Math.round(score * 1000) + 0));
          expect(rounded(found)).toEqual(rounded(expected));
        }),
        { numRuns: 60 },
      );
    },
  );
});

test("many rows are shared out; NaN is never found", () => {
  const [count, width] = [20_000, 8];
  const rows = rowsOf("float32", count, width, 3);
  const numbers = new Float32Array(rows.buffer);
  numbers[8 * 777] = Number.NaN;
  const query = Float32Array.of(1, 2, -1, 0, 3, 1, 1, 2);
  const plain = Array.from({ length: count }, (_, index) => ({
    index,
    score: query.reduce((sum, value, c) => sum + value * numbers[index * width + c], 0),
  }))
    .filter(({ score }) => !Number.isNaN(score))
    .sort((a, b) => b.score - a.score || a.index - b.index);
  expect(search("float32", rows, query, width, 50, 0)[0]).toEqual(plain.slice(0, 50));
});

test.each(kinds)("%s rows on other threads: the same, also of searches that overlap", async (kind) => {
  const [count, width, k] = [3000, 33, 20];
  const rows = rowsOf(kind, count, width, 5);
  const skip = Uint8Array.from({ length: count }, (_, row) => Number(row % 7 === 0));
  const runs = Array.from({ length: 6 }, async (_, run) => {
    const query = new Float32Array(rowsOf("float32", 1 + run, width, run + 1).buffer);
    const nearest = createNearest(query, width, k);
    const cut = 1000 * nearestRowBytes(kind, width);
    await nearest.visitAsync(kind, rows.subarray(0, cut), 0, skip.subarray(0, 1000));
    await nearest.visitAsync(kind, rows.subarray(cut), 1000, skip.subarray(1000));
    expect(nearest.hits()).toEqual(search(kind, rows, query, width, k, 1000, skip));
    expect(nearest.hits()).toHaveLength(1 + run);
  });
  await Promise.all(runs);
});

test.skipIf(backend().addressOf === undefined)("the event loop turns while many rows are compared", async () => {
  const width = 384;
  const rows = new Uint8Array(200_000 * 4 * width);
  const nearest = createNearest(new Float32Array(8 * width).fill(1), width, 10);
  let turns = 0;
  let running = true;
  const turn = (): void => {
    turns++;
    if (running) setImmediate(turn);
  };
  const done = nearest.visitAsync("float32", rows, 0);
  // What blocks has ended by now; what does not has begun, and takes tens of milliseconds.
  setImmediate(turn);
  await done;
  running = false;
  expect(turns).toBeGreaterThan(1);
  expect(nearest.hits()[0].map(({ index }) => index)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

test("what is no row is refused", async () => {
  expect(() => createNearest(new Float32Array(7), 3, 1)).toThrow(/multiple of 3/);
  expect(() => createNearest(new Float32Array(3), 3, 1).visit("int8", new Uint8Array(9), 0)).toThrow(/multiple of 8/);
  await expect(createNearest(new Float32Array(3), 3, 1).visitAsync("int8", new Uint8Array(9), 0)).rejects.toThrow(
    /multiple of 8/,
  );
});
