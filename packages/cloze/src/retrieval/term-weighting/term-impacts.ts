// From weights of words to what an inverted index holds.
import type { SparseVector } from "../learned-sparse/impact-index.js";
import type { WeightedTerms } from "../lexical/bm25-formula.js";
import type { TextEncoder } from "../pipeline/text-vectors.js";

/** Which weight of a word that a text repeats counts: the largest, the sum, or the first. */
export type OccurrenceMerge = "max" | "sum" | "first";

/** One weight for each distinct word. @param weights of each occurrence */
export function mergeOccurrences(
  terms: readonly string[],
  weights: ArrayLike<number>,
  merge: OccurrenceMerge,
): Map<string, number> {
  const merged = new Map<string, number>();
  for (const [i, term] of terms.entries()) {
    const known = merged.get(term);
    if (known === undefined) merged.set(term, weights[i]);
    else if (merge === "max") merged.set(term, Math.max(known, weights[i]));
    else if (merge === "sum") merged.set(term, known + weights[i]);
  }
  return merged;
}

/**
 * DeepCT's weights as whole frequencies of an index: round(100 y), or round(100 sqrt(y)); words below 1 are left out. BM25 over
 * them wants another k1 than over counts (the paper: 10, with b 0.9).
 */
export function deepctFrequencies(weights: WeightedTerms, { squareRoot = false } = {}): Map<string, number> {
  const frequencies = new Map<string, number>();
  for (const [term, weight] of weights) {
    const positive = Math.max(weight, 0);
    const frequency = Math.round(100 * (squareRoot ? Math.sqrt(positive) : positive));
    if (frequency >= 1) frequencies.set(term, frequency);
  }
  return frequencies;
}

/** How frequencies of passages become those of their document (HDCT, Dai and Callan 2020): "decay" divides the i-th by i. */
export type PassageFrequencies = "avg" | "sum" | "max" | "decay" | "decay-avg";

/**
 * Frequencies of a document from those of its passages, whole numbers (rounded down); words below 1 are left out.
 *
 * @param how "avg" unless told; "decay-avg" divides by the sum of 1 / i
 */
export function mergePassageFrequencies(
  passages: readonly WeightedTerms[],
  how: PassageFrequencies = "avg",
): Map<string, number> {
  const decays = how === "decay" || how === "decay-avg";
  const sums = new Map<string, number>();
  let harmonic = 0;
  for (const [i, passage] of passages.entries()) {
    harmonic += 1 / (i + 1);
    for (const [term, frequency] of passage) {
      const value = decays ? frequency / (i + 1) : frequency;
      const known = sums.get(term) ?? 0;
      sums.set(term, how === "max" ? Math.max(known, value) : known + value);
    }
  }
  const divisor = how === "avg" ? passages.length : how === "decay-avg" ? harmonic : 1;
  // A sum of thirds may end just below a whole number.
  const whole = [...sums].map(([term, sum]) => [term, Math.floor(sum / divisor + 1e-9)] as const);
  return new Map(whole.filter(([, frequency]) => frequency >= 1));
}

/** Numbers of words, for an index of impacts. */
export interface TermNumbers {
  readonly size: number;
  /** The weights above 0 of a document; words that are new get a number. */
  vector(weights: WeightedTerms): SparseVector;
  /** The words of a query that have a number; a word that stands there twice weighs 2. */
  query(terms: readonly string[] | WeightedTerms): SparseVector;
}

/**
 * A dictionary between words and the terms of an impact index.
 *
 * @example
 * const numbers = createTermNumbers();
 * const index = createImpactIndex(weighter.weigh(texts).map((weights) => quantizeWeights(numbers.vector(weights))));
 * index.search(numbers.query(weighter.terms("what is a stoat")), 10);
 */
export function createTermNumbers(): TermNumbers {
  const numbers = new Map<string, number>();
  const ofPairs = (pairs: readonly (readonly [number, number])[]): SparseVector => {
    const sorted = [...pairs].sort((a, b) => a[0] - b[0]);
    return {
      terms: Uint32Array.from(sorted, ([term]) => term),
      weights: Float32Array.from(sorted, ([, weight]) => weight),
    };
  };
  return {
    get size() {
      return numbers.size;
    },
    vector(weights) {
      const pairs: [number, number][] = [];
      for (const [term, weight] of weights) {
        if (weight <= 0) continue;
        const number = numbers.get(term) ?? numbers.size;
        numbers.set(term, number);
        pairs.push([number, weight]);
      }
      return ofPairs(pairs);
    },
    query(terms) {
      const counts = new Map<number, number>();
      const weighted = "get" in terms ? terms : terms.map((term) => [term, 1] as const);
      for (const [term, weight] of weighted) {
        const number = numbers.get(term);
        if (number !== undefined) counts.set(number, (counts.get(number) ?? 0) + weight);
      }
      return ofPairs([...counts]);
    },
  };
}

/**
 * An encoder of words as one of numbered terms, for an index of impacts in memory: documents first, so that queries know the
 * numbers.
 *
 * @example
 * const encoder = numberTerms(weighter);
 * const index = createImpactIndex(encoder.encode(documents, { role: "document" }));
 * index.search(encoder.encode(["what is a stoat"], { role: "query" })[0], 10);
 */
export function numberTerms(encoder: TextEncoder<WeightedTerms>): TextEncoder<SparseVector> {
  const numbers = createTermNumbers();
  return {
    encode: (texts, options) =>
      encoder
        .encode(texts, options)
        .map((weights) => (options.role === "query" ? numbers.query(weights) : numbers.vector(weights))),
  };
}
