// Approximate nearest neighbours by usearch (HNSW), an optional package: where a few misses are worth a hundredth of the time.
import type { NearestHit } from "@cloze/tensor";
import { ClozeError } from "../errors.js";

/** What is used of usearch. */
interface UsearchIndex {
  add(keys: BigUint64Array, vectors: Float32Array, threads?: number): void;
  search(
    vectors: Float32Array,
    k: number,
    threads?: number,
  ): { keys: BigUint64Array; distances: Float32Array; counts?: BigUint64Array };
  save(path: string): void;
  load(path: string): void;
  size(): number;
}
/** The package, or what stands in for it. */
export interface Usearch {
  readonly Index: new (options: Readonly<Record<string, unknown>>) => UsearchIndex;
}

export interface ApproximateOptions {
  /** Neighbours that a vector knows; more find more and take more memory. Default 16. */
  connectivity?: number;
  /** Candidates when adding; default 128. */
  expansionAdd?: number;
  /** Candidates when searching; default 96. */
  expansionSearch?: number;
  /** How usearch keeps numbers; default "f32". */
  quantization?: "f32" | "f16" | "i8";
  /** The package, where it is not to be found by its name. */
  usearch?: Usearch;
}

/** An index that finds most of the nearest vectors. */
export interface ApproximateIndex {
  readonly size: number;
  /** Adds rows [count, width] with the numbers from `first` on. */
  add(rows: Float32Array, first: number): void;
  /** The `k` best rows that are found for each query, best first. queries: [count, width] */
  search(queries: Float32Array, k: number): NearestHit[][];
  save(path: string): void;
  load(path: string): void;
}

async function findUsearch(): Promise<Usearch> {
  const name = "usearch";
  try {
    return (await import(name)) as Usearch;
  } catch (cause) {
    throw new ClozeError("USEARCH_MISSING", "Approximate search needs the package usearch", {
      expected: "usearch 2.25.3 (the last that runs on Node.js 20)",
      received: cause instanceof Error ? cause.message.split("\n")[0] : String(cause),
      remedy: "npm install usearch@2.25.3, or search exactly.",
      cause,
    });
  }
}

/**
 * Makes an empty approximate index for inner products.
 *
 * @throws USEARCH_MISSING
 * @example
 * const index = await createApproximateIndex(384);
 * index.add(rows, 0);
 * const [hits] = index.search(query, 10);
 */
export async function createApproximateIndex(
  width: number,
  options: ApproximateOptions = {},
): Promise<ApproximateIndex> {
  const { connectivity = 16, expansionAdd = 128, expansionSearch = 96, quantization = "f32" } = options;
  const { Index } = options.usearch ?? (await findUsearch());
  const index = new Index({
    metric: "ip",
    dimensions: width,
    connectivity,
    quantization,
    expansion_add: expansionAdd,
    expansion_search: expansionSearch,
  });
  const check = (rows: Float32Array): number => {
    if (rows.length % width === 0 && rows.every(Number.isFinite)) return rows.length / width;
    throw new ClozeError("INDEX_WIDTH", "Vectors are rows of finite numbers", {
      expected: `a multiple of ${width} finite numbers`,
      received: `${rows.length} numbers${rows.every(Number.isFinite) ? "" : ", some of them not finite"}`,
    });
  };
  return {
    get size() {
      return index.size();
    },
    add(rows, first) {
      const count = check(rows);
      index.add(
        BigUint64Array.from({ length: count }, (_, row) => BigInt(first + row)),
        rows,
      );
    },
    search(queries, k) {
      const count = check(queries);
      const wanted = Math.min(k, index.size());
      if (wanted === 0) return Array.from({ length: count }, () => []);
      return Array.from({ length: count }, (_, q) => {
        const { keys, distances } = index.search(queries.slice(q * width, (q + 1) * width), wanted, 1);
        // usearch's distance is 1 - inner product.
        return Array.from(keys, (key, place) => ({ index: Number(key), score: 1 - distances[place] }));
      });
    },
    save: (path) => index.save(path),
    load: (path) => index.load(path),
  };
}
