// Query expansion with states of an encoder: CEQE (Naseri 2021, arXiv 2103.05256). Words of the documents that were found, by how
// near their mentions are to the query.
import { normalizeWeights } from "./rm3.js";

/** A document that was found: its words in order and a vector for each of them. */
export interface FeedbackMentions {
  readonly score: number;
  readonly terms: readonly string[];
  /** State of each mention, the mean of its pieces: [mentions][hidden] */
  readonly vectors: readonly ArrayLike<number>[];
}

/** "centroid": one vector for the query; "max", "product": of the weights by each of its words. */
export type CeqePooling = "centroid" | "max" | "product";

export interface CeqeOptions {
  /** Default "centroid". */
  pooling?: CeqePooling;
}

const cosine = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  let [dot, left, right] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    dot += a[i] * b[i];
    left += a[i] * a[i];
    right += b[i] * b[i];
  }
  return left > 0 && right > 0 ? dot / Math.sqrt(left * right) : 0;
};

/** P(w | q, d): the share of a word's mentions in the cosines of all; those below 0 count as 0 (our choice: sums stay above). */
function mentionShares(query: ArrayLike<number>, { terms, vectors }: FeedbackMentions): Map<string, number> {
  const sums = new Map<string, number>();
  for (const [i, term] of terms.entries())
    sums.set(term, (sums.get(term) ?? 0) + Math.max(0, cosine(query, vectors[i])));
  return normalizeWeights(sums);
}

/**
 * Weights of all words of the documents: the sum over documents of P(w | query, d) x softmax of their scores. With "centroid"
 * they add up to 1.
 *
 * @param query states of the query's words: [words][hidden]
 * @example
 * const weights = ceqeWeights(states, documents);
 * index.search(mixQuery(index.terms(query), weights, { stem: porterStem }), 10);
 */
export function ceqeWeights(
  query: readonly ArrayLike<number>[],
  documents: readonly FeedbackMentions[],
  { pooling = "centroid" }: CeqeOptions = {},
): Map<string, number> {
  const weights = new Map<string, number>();
  if (query.length === 0 || documents.length === 0) return weights;
  const centroid = Float64Array.from(
    { length: query[0].length },
    (_, i) => query.reduce((sum, state) => sum + state[i], 0) / query.length,
  );
  const highest = documents.reduce((most, { score }) => Math.max(most, score), Number.NEGATIVE_INFINITY);
  const shares = documents.map(({ score }) => Math.exp(score - highest));
  const total = shares.reduce((sum, share) => sum + share, 0);
  for (const [d, document] of documents.entries()) {
    const views = (pooling === "centroid" ? [centroid] : query).map((state) => mentionShares(state, document));
    for (const term of new Set(document.terms)) {
      const each = views.map((view) => view.get(term) ?? 0);
      const pooled = pooling === "product" ? each.reduce((product, one) => product * one, 1) : Math.max(...each);
      weights.set(term, (weights.get(term) ?? 0) + (pooled * shares[d]) / total);
    }
  }
  return weights;
}

export interface MixOptions {
  /** Terms that are added; 10 unless told. */
  terms?: number;
  /** Weight of the query as it was; 0.5 unless told. */
  originalWeight?: number;
  /** Words with a query word's stem are not added; the word itself unless told. */
  stem?: (term: string) => string;
  /** Words that are not added: stop words. */
  skip?: (term: string) => boolean;
}

/** The normalised query and the heaviest new words, normalised, mixed. */
export function mixQuery(
  query: readonly string[],
  weights: ReadonlyMap<string, number>,
  { terms = 10, originalWeight = 0.5, stem = (term) => term, skip = () => false }: MixOptions = {},
): Map<string, number> {
  const own = new Set(query.map(stem));
  const added = [...weights]
    .filter(([term, weight]) => weight > 0 && !own.has(stem(term)) && !skip(term))
    .sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1))
    .slice(0, terms);
  const expansion = normalizeWeights(new Map(added));
  const kept = expansion.size === 0 ? 1 : originalWeight;
  const mixed = new Map<string, number>();
  for (const term of query) mixed.set(term, (mixed.get(term) ?? 0) + kept / query.length);
  for (const [term, weight] of expansion) mixed.set(term, (mixed.get(term) ?? 0) + (1 - kept) * weight);
  return mixed;
}
