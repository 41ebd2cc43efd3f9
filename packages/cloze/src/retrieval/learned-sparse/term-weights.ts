// Weights of terms, whatever terms are.
import type { WeightedTerms } from "../lexical/bm25-formula.js";
import type { SparseVector } from "./impact-index.js";

/** Terms with weights: numbers of a model's vocabulary (SPLADE, uniCOIL), or words (DeepCT, DeepImpact). */
export type TermWeights = SparseVector | WeightedTerms;

/** What the terms of weights are. */
export type TermKind = "numbers" | "words";

export const termKindOf = (weights: TermWeights): TermKind => ("terms" in weights ? "numbers" : "words");

/** Terms with their weights, one after another. */
export function termPairs(weights: TermWeights): (readonly [term: number | string, weight: number])[] {
  if (!("terms" in weights)) return [...weights];
  return Array.from(weights.terms, (term, i) => [term, weights.weights[i]] as const);
}
