// Weights of a text's words from the states of an encoder: DeepCT (Dai and Callan 2020, arXiv 1910.10687) and DeepImpact
// (Mallia 2021, arXiv 2104.12016). A new way is an entry here.
import { dropout, linear, noGrad, relu, scope, type Tensor, take, tensor } from "@cloze/tensor";
import { groupByTokenBudget, packSequences, type Sequence } from "../../data/packed-batch.js";
import { createParameters, lookUp, type ParameterSource } from "../../encoder/parameters.js";
import type { ParameterSpec } from "../../encoder/part.js";
import type { Model } from "../../families/model.js";
import type { Tokenizer } from "../../text/index.js";
import { type AnalyzerOptions, createAnalyzer } from "../lexical/analyzer.js";
import { mergeOccurrences, type OccurrenceMerge } from "./term-impacts.js";

export const termWeightings = ["deepct", "deepimpact"] as const;
export type TermWeighting = (typeof termWeightings)[number];

interface TokenHead {
  /** Which of a repeated word's weights counts. */
  readonly merge: OccurrenceMerge;
  readonly specs: (hiddenSize: number) => readonly ParameterSpec[];
  /** [words, hidden] -> [words, 1]; a seed drops in training */
  readonly forward: (states: Tensor, parameter: (name: string) => Tensor, seed?: number) => Tensor;
}

const score = (hiddenSize: number): ParameterSpec[] => [
  { name: "score.weight", shape: [1, hiddenSize], initial: "normal" },
  { name: "score.bias", shape: [1], initial: "zeros" },
];
const dropped = (x: Tensor, seed: number | undefined) => (seed === undefined ? x : dropout(x, 0.1, seed));

const heads: Readonly<Record<TermWeighting, TokenHead>> = {
  /** y = w . h + b, learned by squared error, so that a weight may be below 0. */
  deepct: {
    merge: "max",
    specs: score,
    forward: (states, parameter, seed) =>
      linear(dropped(states, seed), parameter("score.weight"), parameter("score.bias")),
  },
  /** ReLU(w . ReLU(W h + b) + c) of a word's first occurrence. */
  deepimpact: {
    merge: "first",
    specs: (hiddenSize) => [
      { name: "dense.weight", shape: [hiddenSize, hiddenSize], initial: "normal" },
      { name: "dense.bias", shape: [hiddenSize], initial: "zeros" },
      ...score(hiddenSize),
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

/** A text as a weighter reads it: its words in order, each with the place of its first piece. */
export interface TextWords extends Sequence {
  readonly terms: readonly string[];
  /** [words] */
  readonly places: Int32Array;
}

export interface TermWeighter {
  readonly type: TermWeighting;
  readonly merge: OccurrenceMerge;
  readonly model: Model;
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
  const analyze = createAnalyzer(options);
  const own = createParameters(specs(hiddenSize), source, initializerRange);
  const parameters = new Map(model.encoder.parameters);
  for (const [name, value] of own) parameters.set(`termWeight.${name}`, value);

  function read(text: string, truncation: false | { maxLength: number }): TextWords {
    const { ids, wordIds, offsets } = tokenizer.encode(text, { truncation, padding: false });
    const terms: string[] = [];
    const places: number[] = [];
    for (let start = 0; start < ids.length; ) {
      let end = start + 1;
      const word = wordIds[start];
      while (word !== null && end < ids.length && wordIds[end] === word) end++;
      if (word !== null) {
        // What an analyzer makes of one word may be nothing (a stop word, a comma), or several terms of the same weight.
        for (const term of analyze(text.slice(offsets[start][0], offsets[end - 1][1]))) {
          terms.push(term);
          places.push(start);
        }
      }
      start = end;
    }
    return { ids, terms, places: Int32Array.from(places) };
  }
  const words = (text: string): TextWords => read(text, { maxLength });
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
  return {
    type: options.type,
    merge,
    model,
    parameters,
    words,
    terms: (query) => [...read(query, false).terms],
    weights,
    weigh(texts, tokenBudget = 8192) {
      const all = texts.map(words);
      const found: Map<string, number>[] = texts.map(() => new Map());
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
    },
    dispose() {
      model.dispose();
      for (const value of own.values()) value.dispose();
    },
  };
}
