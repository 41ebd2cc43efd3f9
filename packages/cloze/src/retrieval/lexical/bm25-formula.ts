// BM25 with Lucene's always positive idf:
// sum over query terms of idf(t) (k1 + 1) tf / (tf + k1 (1 - b + b length / mean length)),
// idf(t) = ln(1 + (N - df + 0.5) / (df + 0.5)).
import type { Postings, TermPostings } from "./postings.js";
import type { WeightedPostings } from "./top-documents.js";

export interface Bm25Parameters {
  /** How soon repeats of a word stop counting; 1.2 unless told. */
  k1?: number;
  /** How much long documents are held back, 0 to 1; 0.75 unless told. */
  b?: number;
}

/** What BM25 knows of a whole collection, over all its parts. */
export interface CollectionStatistics {
  readonly documents: number;
  /** Terms of all documents, repeats included. */
  readonly terms: number;
  frequency(term: string): number;
}

/** Terms of a query and their weights; a word that stands there twice weighs 2. */
export type WeightedTerms = ReadonlyMap<string, number>;

/** Each term with its count. */
export function countTerms(terms: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const term of terms) counts.set(term, (counts.get(term) ?? 0) + 1);
  return counts;
}

/** The part of BM25's denominator that belongs to a document: k1 (1 - b + b length / mean length). [documents] */
export function lengthNorms(lengths: Uint32Array, meanLength: number, parameters: Bm25Parameters = {}): Float32Array {
  const { k1 = 1.2, b = 0.75 } = parameters;
  const norms = new Float32Array(lengths.length);
  const scale = meanLength > 0 ? b / meanLength : 0;
  for (let d = 0; d < lengths.length; d++) norms[d] = k1 * (1 - b + scale * lengths[d]);
  return norms;
}

/** Of a term's documents the largest count / (count + norm): no document has more of the term's weight. */
export type ShareBound = (term: string, postings: TermPostings) => number;

/** A bound that looks through a term's documents when it is asked for the first time. @param norms [documents] */
export function shareBounds(norms: Float32Array): ShareBound {
  const known = new Map<string, number>();
  return (term, { documents, counts }) => {
    const found = known.get(term);
    if (found !== undefined) return found;
    let largest = 0;
    for (let i = 0; i < documents.length; i++) {
      largest = Math.max(largest, counts[i] / (counts[i] + norms[documents[i]]));
    }
    known.set(term, largest);
    return largest;
  };
}

/** Inverse document frequency. */
export const inverseFrequency = (documents: number, frequency: number): number =>
  Math.log(1 + (documents - frequency + 0.5) / (frequency + 0.5));

/** The terms of a query that a part of the collection holds, by falling weight; of equal ones in the query's order. */
export function weighTerms(
  postings: Pick<Postings, "read">,
  query: WeightedTerms,
  statistics: CollectionStatistics,
  bound: ShareBound,
  { k1 = 1.2 }: Bm25Parameters = {},
): WeightedPostings[] {
  const terms: WeightedPostings[] = [];
  for (const [term, times] of query) {
    const found = postings.read(term);
    if (found === undefined) continue;
    const weight = times * (k1 + 1) * inverseFrequency(statistics.documents, statistics.frequency(term));
    terms.push({ documents: found.documents, counts: found.counts, weight, most: weight * bound(term, found) });
  }
  return terms.sort((a, b) => b.weight - a.weight);
}

/** Adds the scores of every document of a part to `scores` [documents]. */
export function addBm25Scores(scores: Float32Array, terms: readonly WeightedPostings[], norms: Float32Array): void {
  for (const { documents, counts, weight } of terms) {
    for (let i = 0; i < documents.length; i++) {
      const document = documents[i];
      scores[document] += (weight * counts[i]) / (counts[i] + norms[document]);
    }
  }
}
