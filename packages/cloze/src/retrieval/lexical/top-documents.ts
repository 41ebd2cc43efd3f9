// The best documents by BM25, without scoring all that share only a common word with the query (the idea of MaxScore,
// Turtle and Flood 1995): terms come by weight; once those that are left could not lift a new document among the best, they
// are looked up for the documents that may still win, and for no others.

import type { SearchHit } from "../search-hit.js";
import { topScores } from "../top-scores.js";
import type { TermPostings } from "./postings.js";

/** A term of the query in a part of the collection: where it is, and times x idf x (k1 + 1). */
export interface WeightedPostings extends TermPostings {
  readonly weight: number;
  /** What a document can get of it at most. */
  readonly most: number;
}

/** Memory that searches use one after another, for so many documents. */
export interface SearchScratch {
  /** Zeros between searches. */
  readonly scores: Float32Array;
  readonly touched: Int32Array;
  readonly values: Float32Array;
}

export const searchScratch = (documents: number): SearchScratch => ({
  scores: new Float32Array(documents),
  touched: new Int32Array(documents),
  values: new Float32Array(documents),
});

/** Scores are sums in float32: bounds are held against them with some room. */
const room = 1 + 1e-4;

/** Adds a term's scores for documents that are given in ascending order. */
function addFor(
  scores: Float32Array,
  chosen: Int32Array,
  { documents, counts, weight }: WeightedPostings,
  norms: Float32Array,
): void {
  let low = 0;
  for (let i = 0; i < chosen.length && low < documents.length; i++) {
    const wanted = chosen[i];
    // Steps that double, then halves: the next one is rarely far.
    let step = 1;
    while (low + step < documents.length && documents[low + step] < wanted) step *= 2;
    let high = Math.min(documents.length, low + step + 1);
    while (low < high) {
      const middle = (low + high) >> 1;
      if (documents[middle] < wanted) low = middle + 1;
      else high = middle;
    }
    if (low < documents.length && documents[low] === wanted)
      scores[wanted] += (weight * counts[low]) / (counts[low] + norms[wanted]);
  }
}

/** The documents with scores in ascending order; many are quicker found among the scores than sorted. */
function ascending(touched: Int32Array, scores: Float32Array): Int32Array {
  if (touched.length * 64 < scores.length) return touched.sort();
  let size = 0;
  for (let document = 0; document < scores.length; document++) if (scores[document] !== 0) touched[size++] = document;
  // A term of weight 0 touches documents without giving them a score.
  return touched.subarray(0, size);
}

/**
 * The `k` best documents, best first, with the scores that `addBm25Scores` gives.
 *
 * @param terms by falling weight
 * @param scratch for as many documents as there are, or more
 * @param skip a byte for each document: where it is not 0, it is not to be found
 */
export function topDocuments(
  terms: readonly WeightedPostings[],
  norms: Float32Array,
  k: number,
  { scores, touched, values }: SearchScratch,
  skip?: Uint8Array,
): SearchHit[] {
  let size = 0;
  // What all later terms can add to a document at most.
  const left = new Float64Array(terms.length + 1);
  for (let i = terms.length - 1; i >= 0; i--) left[i] = left[i + 1] + terms[i].most;
  const best = (documents: Int32Array): SearchHit[] => {
    for (let i = 0; i < documents.length; i++) values[i] = scores[documents[i]];
    const keep = skip === undefined ? undefined : (i: number) => skip[documents[i]] === 0;
    return topScores(values.subarray(0, documents.length), k, { floor: 0, keep }).map(({ index, score }) => ({
      index: documents[index],
      score,
    }));
  };
  let found: SearchHit[] | undefined;
  for (let i = 0; i < terms.length; i++) {
    const { documents, counts, weight } = terms[i];
    for (let j = 0; j < documents.length; j++) {
      const document = documents[j];
      if (scores[document] === 0) touched[size++] = document;
      scores[document] += (weight * counts[j]) / (counts[j] + norms[document]);
    }
    if (left[i + 1] === 0 || size < k) continue;
    // Looking for the threshold pays where the lists to come are longer than what has been seen.
    if (terms[i + 1].documents.length < size) continue;
    const threshold = best(touched.subarray(0, size))[k - 1]?.score ?? 0;
    if (threshold <= left[i + 1] * room) continue;
    const chosen = ascending(touched.subarray(0, size), scores).filter(
      (document) => (scores[document] + left[i + 1]) * room >= threshold,
    );
    for (let j = i + 1; j < terms.length; j++) addFor(scores, chosen, terms[j], norms);
    found = best(chosen);
    break;
  }
  found ??= best(ascending(touched.subarray(0, size), scores));
  for (let i = 0; i < size; i++) scores[touched[i]] = 0;
  return found;
}
