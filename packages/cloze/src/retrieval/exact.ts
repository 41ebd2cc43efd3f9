// Exact nearest neighbours: one matrix product, and the best k of each row.
import { matmul, noGrad, scope, slice, type Tensor, tensor, topK, transpose } from "@cloze/tensor";
import { ClozeError } from "../errors.js";
import type { SearchHit } from "./search-hit.js";

/** An index that compares a query with every document. */
export interface ExactIndex {
  readonly size: number;
  /** Length of a vector. */
  readonly width: number;
  /** The `k` best documents of each query, best first. queries: [count, width] */
  search(queries: Tensor, k: number): SearchHit[][];
  /** Scores of one query for every document. query: [width] or [1, width] -> [documents] */
  scores(query: Tensor): Float32Array;
  /** Calls back with the scores of each query, a block of queries at a time. */
  forEachScores(queries: Tensor, visit: (query: number, scores: Float32Array) => void): void;
  dispose(): void;
}

/** Queries whose scores are held at once. */
const block = 64;

/**
 * An index over vectors; scores are inner products (cosines, where the vectors have length 1). Keeps the tensor until
 * `dispose`.
 *
 * @param vectors [documents, width]
 * @throws INDEX_SHAPE
 * @example
 * const index = createExactIndex(vectors);
 * const [hits] = index.search(query, 10);
 */
export function createExactIndex(vectors: Tensor): ExactIndex {
  if (vectors.rank !== 2) {
    throw new ClozeError("INDEX_SHAPE", "An index takes one vector per row", {
      expected: "[documents, width]",
      received: `[${vectors.shape.join(", ")}]`,
    });
  }
  const [size, width] = vectors.shape;
  const documents = vectors.detach().keep();
  const rows = (queries: Tensor): Tensor => {
    if (queries.shape[queries.rank - 1] !== width) {
      throw new ClozeError("INDEX_SHAPE", "A query is as long as the documents' vectors", {
        expected: `${width} numbers`,
        received: `[${queries.shape.join(", ")}]`,
        remedy: "Embed queries and documents with the same model.",
      });
    }
    return queries.rank === 1 ? queries.view([1, width]) : queries;
  };
  const eachBlock = (queries: Tensor, visit: (scores: Tensor, first: number) => void) => {
    const list = rows(queries);
    for (let first = 0; first < list.shape[0]; first += block) {
      scope(() =>
        noGrad(() => visit(matmul(slice(list, [{ start: first, end: first + block }]), transpose(documents)), first)),
      );
    }
  };
  return {
    size,
    width,
    search(queries, k) {
      const hits: SearchHit[][] = [];
      eachBlock(queries, (scores) => {
        const best = topK(scores, k);
        const [values, indices] = [best.values.toTypedArray(), best.indices.toTypedArray()];
        const count = best.values.shape[1];
        for (let row = 0; row < scores.shape[0]; row++) {
          hits.push(
            Array.from({ length: count }, (_, place) => ({
              index: indices[row * count + place],
              score: values[row * count + place],
            })),
          );
        }
      });
      return hits;
    },
    scores(query) {
      return scope(() => noGrad(() => matmul(rows(query), transpose(documents)).toTypedArray() as Float32Array));
    },
    forEachScores(queries, visit) {
      eachBlock(queries, (scores, first) => {
        const data = scores.toTypedArray() as Float32Array;
        for (let row = 0; row < scores.shape[0]; row++) visit(first + row, data.subarray(row * size, (row + 1) * size));
      });
    },
    dispose: () => documents.dispose(),
  };
}

/** Vectors as a tensor. rows: each of the same length -> [rows, width] */
export const stackVectors = (rows: readonly Float32Array[]): Tensor => {
  const width = rows[0]?.length ?? 0;
  const data = new Float32Array(rows.length * width);
  rows.forEach((row, i) => {
    data.set(row, i * width);
  });
  return tensor(data, [rows.length, width]);
};
