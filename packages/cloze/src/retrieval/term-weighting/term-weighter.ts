// Weights of a text's words from the states of an encoder: DeepCT (Dai and Callan 2020, arXiv 1910.10687) and DeepImpact
// (Mallia 2021, arXiv 2104.12016). A new way is an entry here.
import { dropout, linear, noGrad, relu, scope, type Tensor, take, tensor } from "@cloze/tensor";
import { groupByTokenBudget, packSequences } from "../../data/packed-batch.js";
import { createParameters, lookUp, type ParameterSource } from "../../encoder/parameters.js";
import type { ParameterSpec } from "../../encoder/part.js";
import type { Model } from "../../families/model.js";
import type { Tokenizer } from "../../text/index.js";
import type { AnalyzerOptions } from "../lexical/analyzer.js";
import type { WeightedTerms } from "../lexical/bm25-formula.js";
import { mergeOccurrences, type OccurrenceMerge } from "./term-impacts.js";
import { createTermReader, type TextWords } from "./term-reader.js";

export const termWeightings = ["deepct", "deepimpact"] as const;
export type TermWeighting = (typeof termWeightings)[number];

interface TokenHead {
  /** Which of a repeated word's weights counts. */
  readonly merge: OccurrenceMerge;
  readonly specs: (hiddenSize: number) => readonly ParameterSpec[];
  /** [words, hidden] -> [words, 1]; a seed drops in training */
  readonly forward: (states: Tensor, parameter: (name: string) => Tensor, seed?: number) => Tensor;
}

const score = (hiddenSize: number, bias: "zeros" | "ones"): ParameterSpec[] => [
  { name: "score.weight", shape: [1, hiddenSize], initial: "normal" },
  { name: "score.bias", shape: [1], initial: bias },
];
const dropped = (x: Tensor, seed: number | undefined) => (seed === undefined ? x : dropout(x, 0.1, seed));

const heads: Readonly<Record<TermWeighting, TokenHead>> = {
  /** y = w . h + b, learned by squared error, so that a weight may be below 0. */
  deepct: {
    merge: "max",
    specs: (hiddenSize) => score(hiddenSize, "zeros"),
    forward: (states, parameter, seed) =>
      linear(dropped(states, seed), parameter("score.weight"), parameter("score.bias")),
  },
  /**
   * ReLU(w . ReLU(W h + b) + c) of a word's first occurrence. c starts at 1: every word counts at first, where half of them
   * would begin below 0, and learn nothing.
   */
  deepimpact: {
    merge: "first",
    specs: (hiddenSize) => [
      { name: "dense.weight", shape: [hiddenSize, hiddenSize], initial: "normal" },
      { name: "dense.bias", shape: [hiddenSize], initial: "zeros" },
      ...score(hiddenSize, "ones"),
    ],
    forward: (states, parameter, seed) => {
      const inner = relu(linear(states, parameter("dense.weight"), parameter("dense.bias")));
      return relu(linear(dropped(inner, seed), parameter("score.weight"), parameter("score.bias")));
    },
  },
};

export interface TermWeighterOptions extends AnalyzerOptions {
  type: TermWeighting;
  /** Tokens of a text at most; words behind them have no weight. Default 256, or as many as the model has positions. */
  maxLength?: number;
}

export interface TermEncodeOptions {
  role?: "query" | "document";
  tokenBudget?: number;
  /** Texts longer than the limit are counted there. */
  counts?: { truncatedTexts: number };
}

export interface TermWeighter {
  readonly type: TermWeighting;
  readonly merge: OccurrenceMerge;
  readonly model: Model;
  readonly tokenizer: Tokenizer;
  readonly options: Required<TermWeighterOptions>;
  /** The encoder's by their names, and `termWeight.…`. */
  readonly parameters: ReadonlyMap<string, Tensor>;
  /** Words as the analyzer makes them, each with the place of its first piece. */
  words(text: string): TextWords;
  /** The terms of a query, as those of documents. */
  terms(query: string): string[];
  /** Weights of all words of some texts, one after the other, with gradients where recorded: [words, 1] */
  weights(texts: readonly TextWords[], options?: { training?: boolean; seed?: number }): Tensor;
  /** One weight for each distinct word of each text. @param tokenBudget tokens per forward pass; 8192 unless told */
  weigh(texts: readonly string[], tokenBudget?: number): Map<string, number>[];
  /**
   * What an index keeps of documents, the weights above 0, and what it is asked with, the query's words: see `indexTermWeights`
   * and `numberTerms`.
   */
  encode(texts: readonly string[], options: TermEncodeOptions): WeightedTerms[];
  dispose(): void;
}

/**
 * Puts a model, its tokenizer and a head over words together; the weighter owns the model.
 *
 * @param source where the head's parameters come from; new ones by seed 1 unless told
 * @example
 * const weighter = createTermWeighter(model, tokenizer, { type: "deepct", stopWords: "english" });
 * await trainTermWeighter(weighter, rows, { epochs: 3 });
 * const numbers = createTermNumbers();
 * const index = createImpactIndex(weighter.weigh(documents).map((weights) => numbers.vector(deepctFrequencies(weights))));
 */
export function createTermWeighter(
  model: Model,
  tokenizer: Tokenizer,
  options: TermWeighterOptions,
  source: ParameterSource = { seed: 1 },
): TermWeighter {
  const { hiddenSize, maxPositions, initializerRange } = model.encoder.config;
  const maxLength = Math.min(options.maxLength ?? 256, maxPositions > 0 ? maxPositions : 512);
  const { merge, specs, forward } = heads[options.type];
  const { stemmer = "none", stopWords = "none" } = options;
  const reader = createTermReader(tokenizer, options);
  const own = createParameters(specs(hiddenSize), source, initializerRange);
  const parameters = new Map(model.encoder.parameters);
  for (const [name, value] of own) parameters.set(`termWeight.${name}`, value);

  const words = (text: string): TextWords => reader.words(text, maxLength);
  const weights: TermWeighter["weights"] = (texts, { training = false, seed = 0 } = {}) =>
    scope(() => {
      const batch = packSequences(texts.map(({ ids }) => ({ ids })));
      const { hidden } = model.encoder.forward(batch, { training, seed });
      const rows = texts.flatMap(({ places }, t) => Array.from(places, (place) => batch.offsets[t] + place));
      return forward(
        take(hidden, tensor(Int32Array.from(rows))),
        (name) => lookUp(own, name),
        training ? seed : undefined,
      );
    });
  function weighAll(all: readonly TextWords[], tokenBudget = 8192): Map<string, number>[] {
    const found: Map<string, number>[] = all.map(() => new Map());
    const lengths = all.map(({ ids, terms }) => (terms.length === 0 ? 0 : ids.length));
    for (const group of groupByTokenBudget(lengths, tokenBudget)) {
      const read = group.filter((i) => lengths[i] > 0);
      if (read.length === 0) continue;
      const values = noGrad(() => scope(() => weights(read.map((i) => all[i])).toTypedArray() as Float32Array));
      let at = 0;
      for (const text of read) {
        const { terms } = all[text];
        found[text] = mergeOccurrences(terms, values.subarray(at, at + terms.length), merge);
        at += terms.length;
      }
    }
    return found;
  }
  return {
    type: options.type,
    merge,
    model,
    tokenizer,
    options: { type: options.type, maxLength, stemmer, stopWords },
    parameters,
    words,
    terms: reader.terms,
    weights,
    weigh: (texts, tokenBudget) => weighAll(texts.map(words), tokenBudget),
    encode(texts, { role = "document", tokenBudget, counts }) {
      if (role === "query") return texts.map(reader.weights);
      const read = texts.map(words);
      if (counts !== undefined) counts.truncatedTexts += read.filter(({ cut }) => cut).length;
      return weighAll(read, tokenBudget).map((weights) => new Map([...weights].filter(([, weight]) => weight > 0)));
    },
    dispose() {
      model.dispose();
      for (const value of own.values()) value.dispose();
    },
  };
}
