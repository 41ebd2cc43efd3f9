// An inverted index of weights that a model gave: scores are inner products of sparse vectors.
import { ClozeError } from "../../errors.js";
import type { SearchHit } from "../search-hit.js";
import { topScores } from "../top-scores.js";

/** Terms (numbers of a vocabulary) with weights above 0; each term once. */
export interface SparseVector {
  readonly terms: Uint32Array;
  readonly weights: Float32Array;
}

export interface ImpactIndex {
  readonly size: number;
  /** Inner products with every document. */
  scores(query: SparseVector): Float32Array;
  /** The `k` best documents that share a term with the query. */
  search(query: SparseVector, k: number): SearchHit[];
}

/**
 * Indexes sparse vectors.
 *
 * @throws INDEX_VECTOR for weights that are not finite
 */
export function createImpactIndex(documents: readonly SparseVector[]): ImpactIndex {
  const counts = new Map<number, number>();
  for (const [d, { terms, weights }] of documents.entries()) {
    for (let i = 0; i < terms.length; i++) {
      if (!Number.isFinite(weights[i])) {
        throw new ClozeError("INDEX_VECTOR", `Document ${d} has a weight that is not finite`, {
          expected: "finite numbers",
          received: String(weights[i]),
        });
      }
      counts.set(terms[i], (counts.get(terms[i]) ?? 0) + 1);
    }
  }
  const lists = new Map(
    [...counts].map(([term, count]) => [
      term,
      { documents: new Uint32Array(count), weights: new Float32Array(count), size: 0 },
    ]),
  );
  for (const [d, { terms, weights }] of documents.entries()) {
    for (let i = 0; i < terms.length; i++) {
      const list = lists.get(terms[i]);
      if (list === undefined) continue;
      list.documents[list.size] = d;
      list.weights[list.size++] = weights[i];
    }
  }
  const scores = ({ terms, weights }: SparseVector): Float32Array => {
    const sums = new Float32Array(documents.length);
    for (let t = 0; t < terms.length; t++) {
      const list = lists.get(terms[t]);
      if (list === undefined) continue;
      for (let i = 0; i < list.size; i++) sums[list.documents[i]] += weights[t] * list.weights[i];
    }
    return sums;
  };
  return {
    size: documents.length,
    scores,
    search: (query, k) => topScores(scores(query), k, { floor: 0 }),
  };
}
