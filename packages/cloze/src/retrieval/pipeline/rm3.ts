// Query expansion by pseudo-relevance feedback: RM3 (Lavrenko and Croft 2001; Abdul-Jaleel 2004), in Anserini's form.
import { countTerms, type WeightedTerms } from "../lexical/bm25-formula.js";

export interface Rm3Options {
  /** Documents that are taken for relevant; 10 unless told. */
  feedbackDocuments?: number;
  /** Terms that are kept of each, and of the new query; 10 unless told. */
  feedbackTerms?: number;
  /** Weight of the query as it was; 0.5 unless told. */
  originalWeight?: number;
  /** Terms in a larger share of the documents are left out; 0.1 unless told. */
  mostFrequent?: number;
}

/** A document that was found, with its terms. */
export interface FeedbackDocument {
  readonly score: number;
  readonly terms: readonly string[];
}

/** Weights that add up to 1, or all 0. */
export const normalizeWeights = (weights: WeightedTerms): Map<string, number> => {
  let total = 0;
  for (const weight of weights.values()) total += weight;
  return new Map([...weights].map(([term, weight]) => [term, total > 0 ? weight / total : 0]));
};

const heaviest = (weights: WeightedTerms, count: number): Map<string, number> =>
  new Map([...weights].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).slice(0, count));

/**
 * The query with terms of the documents that it found: each document is cut to its heaviest terms and weighed by its score;
 * the sum, cut and normalised, is mixed with the normalised query.
 *
 * @param shareOf share of all documents that hold a term
 */
export function rm3Terms(
  query: readonly string[],
  documents: readonly FeedbackDocument[],
  shareOf: (term: string) => number,
  options: Rm3Options = {},
): Map<string, number> {
  const { feedbackDocuments = 10, feedbackTerms = 10, originalWeight = 0.5, mostFrequent = 0.1 } = options;
  const model = new Map<string, number>();
  for (const { score, terms } of documents.slice(0, feedbackDocuments)) {
    const counts = new Map([...countTerms(terms)].filter(([term]) => shareOf(term) <= mostFrequent));
    for (const [term, weight] of normalizeWeights(heaviest(counts, feedbackTerms)))
      model.set(term, (model.get(term) ?? 0) + weight * score);
  }
  const mixed = new Map<string, number>();
  const add = (weights: WeightedTerms, part: number) => {
    for (const [term, weight] of weights) mixed.set(term, (mixed.get(term) ?? 0) + part * weight);
  };
  const expansion = normalizeWeights(heaviest(model, feedbackTerms));
  add(normalizeWeights(countTerms(query)), expansion.size === 0 ? 1 : originalWeight);
  add(expansion, 1 - originalWeight);
  return mixed;
}
