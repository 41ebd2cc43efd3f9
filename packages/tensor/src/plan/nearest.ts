// Nearest neighbours by comparing with every row, a block of rows at a time, wherever the rows come from.
import { rowKindCode } from "../backend/contract/nearest.js";
import { backend } from "../backend/index.js";
import { ClozeError } from "../errors.js";
import { createPlan } from "./plan.js";

/**
 * How a row of numbers lies: `float32`; `int8`, a float32 scale and a code of 8 bits for each number; `binary`, a bit for the
 * sign of each (1 is 1 / sqrt(width), 0 the opposite), lowest bit first.
 */
export type RowKind = keyof typeof rowKindCode;

/** A row that was found. */
export interface NearestHit {
  /** Number of the row. */
  readonly index: number;
  /** Inner product with the query. */
  readonly score: number;
}

/** A search that has not seen all rows yet. */
export interface Nearest {
  /**
   * Compares with more rows.
   *
   * @param rows whole rows, one after another; float32 rows begin at a multiple of 4 in their buffer
   * @param first number of the first row
   * @param skip a byte for each row: where it is not 0, the row is passed over
   */
  visit(kind: RowKind, rows: Uint8Array, first: number, skip?: Uint8Array): void;
  /**
   * The same on other threads, where the backend can (native): JavaScript goes on meanwhile. The rows must not be written, nor
   * anything else be asked of this search, before it is done.
   */
  visitAsync(kind: RowKind, rows: Uint8Array, first: number, skip?: Uint8Array): Promise<void>;
  /** The best rows of each query so far, best first, of equals the lowest number. */
  hits(): NearestHit[][];
}

/** Bytes of a row. */
export const nearestRowBytes = (kind: RowKind, width: number): number =>
  kind === "float32" ? 4 * width : kind === "int8" ? 4 + Math.ceil(width / 4) * 4 : Math.ceil(width / 32) * 4;

const nothing = { perToken: 0, perSequence: 0 };

/** Rows that threads read: they must not be collected meanwhile. */
const inUse = new Set<{ readonly rows: Uint8Array }>();

const signed = (bytes: Uint8Array): Int8Array => new Int8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/**
 * Starts a search for the `k` rows with the largest inner products.
 *
 * @param queries [count, width]
 * @throws INVALID_SHAPE
 * @example
 * const search = createNearest(queries, 384, 10);
 * search.visit("float32", bytes, 0);
 * const [hits] = search.hits();
 */
export function createNearest(queries: Float32Array, width: number, k: number): Nearest {
  const count = queries.length / width;
  if (!Number.isInteger(count)) {
    throw new ClozeError("INVALID_SHAPE", "Queries are rows of numbers", {
      expected: `a multiple of ${width} numbers`,
      received: String(queries.length),
    });
  }
  const scores = new Float32Array(count * k).fill(Number.NEGATIVE_INFINITY);
  const ids = new Int32Array(count * k).fill(-1);
  /** The number of rows. @throws INVALID_SHAPE */
  const heightOf = (kind: RowKind, rows: Uint8Array, skip: Uint8Array | undefined): number => {
    const rowBytes = nearestRowBytes(kind, width);
    const height = rows.length / rowBytes;
    if (Number.isInteger(height) && (skip === undefined || skip.length >= height)) return height;
    throw new ClozeError("INVALID_SHAPE", "Rows are whole, and each has a byte that says whether it is skipped", {
      expected: `a multiple of ${rowBytes} bytes`,
      received: `${rows.length} bytes, ${skip?.length ?? "no"} to skip`,
    });
  };
  const found = [
    [scores, "float32"],
    [ids, "int32"],
  ] as const;
  const visit: Nearest["visit"] = (kind, rows, first, skip) => {
    const height = heightOf(kind, rows, skip);
    if (height === 0 || count === 0 || k === 0) return;
    const skipped = skip === undefined ? null : signed(skip);
    const { kernels, allocate, free, write, read } = backend();
    const places: number[] = [];
    try {
      // Backends whose memory is apart copy arrays in, but not out.
      for (const [array, type] of found) {
        places.push(allocate(array.length, type));
        write(array, places[places.length - 1]);
      }
      kernels.nearestRows(
        ...([rowKindCode[kind], signed(rows), nearestRowBytes(kind, width), skipped, queries] as const),
        ...([places[0], places[1], height, first, count, width, k] as const),
      );
      read(places[0], scores);
      read(places[1], ids);
    } finally {
      for (const place of places) free(place);
    }
  };
  return {
    visit,
    async visitAsync(kind, rows, first, skip) {
      const { allocate, free, write, read, addressOf, plans } = backend();
      if (addressOf === undefined || plans === undefined) return visit(kind, rows, first, skip);
      const height = heightOf(kind, rows, skip);
      if (height === 0 || count === 0 || k === 0) return;
      const places: number[] = [];
      const copied = (array: Float32Array | Int32Array | Int8Array): number => {
        const place = allocate(Math.ceil(array.byteLength / 4), "int32");
        places.push(place);
        write(array, place);
        return place;
      };
      // Only the rows are too many to copy.
      const held = { rows };
      inUse.add(held);
      try {
        const [scoresAt, idsAt, queriesAt] = [scores, ids, queries].map(copied);
        const skipAt = skip === undefined ? null : copied(signed(skip.subarray(0, height)));
        const plan = createPlan({
          calls: [
            {
              kernel: "nearestRows",
              arguments: [
                ...([
                  rowKindCode[kind],
                  addressOf(signed(rows)),
                  nearestRowBytes(kind, width),
                  skipAt,
                  queriesAt,
                ] as const),
                ...([scoresAt, idsAt, height, first, count, width, k] as const),
              ],
            },
          ],
          numbers: nothing,
          integers: nothing,
        });
        try {
          await plan.runAsync(
            { tokens: 0, sequences: 0 },
            () => {},
            () => {},
          );
        } finally {
          plan.close();
        }
        read(scoresAt, scores);
        read(idsAt, ids);
      } finally {
        inUse.delete(held);
        for (const place of places) free(place);
      }
    },
    hits() {
      return Array.from({ length: count }, (_, q) => {
        const hits: NearestHit[] = [];
        for (let i = q * k; i < (q + 1) * k && ids[i] >= 0; i++) hits.push({ index: ids[i], score: scores[i] });
        return hits;
      });
    },
  };
}
