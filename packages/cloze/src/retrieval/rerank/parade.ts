// PARADE (Li 2020, arXiv 2008.09093): a cross-encoder reads a query with each passage of a document; the passages' [CLS] states
// become one vector, and that a score.
import { linear, noGrad, scope, type Tensor, take, tensor } from "@cloze/tensor";
import { groupByTokenBudget, packSequences, type Sequence } from "../../data/packed-batch.js";
import { randomOrder, randomSource } from "../../data/random-source.js";
import { createParameters, lookUp, type ParameterSource } from "../../encoder/parameters.js";
import { deriveSeed } from "../../encoder/seeds.js";
import type { Model } from "../../families/model.js";
import type { Tokenizer } from "../../text/index.js";
import {
  createPassageAggregator,
  type PassageAggregator,
  type PassageVectorAggregation,
} from "./passage-aggregator.js";
import { cutPassages } from "./passages.js";

/** What a PARADE reranker is told. Its parts are saved with it. */
export interface ParadeOptions {
  /** Default "transformer". */
  aggregation?: PassageVectorAggregation;
  /** Layers of "transformer". Default 2. */
  layers?: number;
  /** Words of a passage, and from one's beginning to the next one's. Default 150 and 100. */
  words?: number;
  stride?: number;
  /** Passages of a document at most: always the first and the last; of others in training a random few. Default 16. */
  passages?: number;
  /** Tokens of a query with a passage at most. Default 256, or as many as the model has positions. */
  maxLength?: number;
}

/** A text and what may stand before each of its passages. */
export interface ParadeDocument {
  readonly title?: string;
  readonly text: string;
}

export interface Parade {
  readonly model: Model;
  readonly tokenizer: Tokenizer;
  readonly aggregator: PassageAggregator;
  readonly options: Required<ParadeOptions>;
  /** The encoder's by their names, and `parade.…`. */
  readonly parameters: ReadonlyMap<string, Tensor>;
  /** A query with the passages of a document. @param sample draws passages where there are too many */
  sequences(query: string, document: ParadeDocument, sample?: number): Sequence[];
  /** Logits of documents, with gradients where recorded: [documents] */
  logits(documents: readonly (readonly Sequence[])[], options?: { training?: boolean; seed?: number }): Tensor;
  /** One score for each document: higher is more relevant. @param tokenBudget tokens per forward pass; 8192 unless told */
  score(query: string, documents: readonly ParadeDocument[], tokenBudget?: number): Float32Array;
  dispose(): void;
}

/** The first and the last, and so many between them in their order. */
function drawPassages(passages: readonly string[], most: number, seed: number): string[] {
  if (passages.length <= most) return [...passages];
  if (most < 2) return passages.slice(0, most);
  const inner = randomOrder(passages.length - 2, randomSource(seed))
    .slice(0, most - 2)
    .map((i) => i + 1)
    .sort();
  return [0, ...inner, passages.length - 1].map((i) => passages[i]);
}

/**
 * Puts an encoder, its tokenizer and an aggregator together; the reranker owns them.
 *
 * @param source where the aggregator's parameters come from; new ones by seed 1 unless told
 * @example
 * const parade = createParade(model, tokenizer, { aggregation: "transformer" });
 * await trainParade(parade, rows, { epochs: 3 });
 * const search = pipeline(bm25, rerankParade(parade, texts, { depth: 100 }));
 */
export function createParade(
  model: Model,
  tokenizer: Tokenizer,
  options: ParadeOptions = {},
  source: ParameterSource = { seed: 1 },
): Parade {
  const { hiddenSize, maxPositions, segmentVocabularySize, layers: encoderLayers } = model.encoder.config;
  const settings: Required<ParadeOptions> = {
    aggregation: options.aggregation ?? "transformer",
    layers: options.layers ?? 2,
    words: options.words ?? 150,
    stride: options.stride ?? 100,
    passages: options.passages ?? 16,
    maxLength: Math.min(options.maxLength ?? 256, maxPositions > 0 ? maxPositions : 512),
  };
  const { passages, maxLength, words, stride } = settings;
  const own = (name: string): ParameterSource =>
    "load" in source
      ? { seed: 1, load: (key) => source.load(`${name}.${key}`) }
      : { seed: deriveSeed(source.seed, `parade.${name}`) };
  const [first] = encoderLayers;
  const heads = (first?.mixer as { heads?: number } | undefined)?.heads ?? Math.max(1, Math.round(hiddenSize / 64));
  const aggregator = createPassageAggregator(
    settings.aggregation,
    { hiddenSize, heads, passages, layers: settings.layers, dropout: 0.1 },
    own("aggregator"),
  );
  const head = createParameters(
    [
      { name: "weight", shape: [1, hiddenSize], initial: "normal" },
      { name: "bias", shape: [1], initial: "zeros" },
    ],
    own("score"),
    0.02,
  );
  const parameters = new Map(model.encoder.parameters);
  for (const [name, value] of aggregator.parameters) parameters.set(`parade.aggregator.${name}`, value);
  for (const [name, value] of head) parameters.set(`parade.score.${name}`, value);

  const sequences: Parade["sequences"] = (query, { title = "", text }, sample) => {
    const all = cutPassages(text, { words, stride, most: sample === undefined ? passages : Number.POSITIVE_INFINITY });
    const kept = sample === undefined ? all : drawPassages(all, passages, sample);
    // The query is never cut, unless it leaves no room for a passage.
    const asked = tokenizer.encodeIds(query, { truncation: false }).length;
    const strategy = asked > maxLength >> 1 ? "longest-first" : "only-second";
    return kept.map((passage): Sequence => {
      const pair = title === "" ? passage : `${title} ${passage}`.trimEnd();
      const { ids, typeIds } = tokenizer.encode(query, {
        pair,
        truncation: { maxLength, strategy },
        padding: false,
      });
      return segmentVocabularySize > 1 ? { ids, segments: typeIds } : { ids };
    });
  };
  const logits: Parade["logits"] = (documents, { training, seed = 0 } = {}) =>
    scope(() => {
      const batch = packSequences(documents.flat());
      const { hidden } = model.encoder.forward(batch, { training, seed });
      const states = take(hidden, tensor(batch.offsets.slice(0, -1))); // [passages, hidden]
      let end = 0;
      const ends = Int32Array.from([
        0,
        ...documents.map(({ length }) => {
          end += length;
          return end;
        }),
      ]);
      const vectors = aggregator.forward(states, ends, { training, seed: deriveSeed(seed, "parade") });
      return linear(vectors, lookUp(head, "weight"), lookUp(head, "bias")); // [documents, 1]
    });
  return {
    model,
    tokenizer,
    aggregator,
    options: settings,
    parameters,
    sequences,
    logits,
    score(query, documents, tokenBudget = 8192) {
      const encoded = documents.map((document) => sequences(query, document));
      const scores = new Float32Array(documents.length);
      const lengths = encoded.map((one) => one.reduce((sum, { ids }) => sum + ids.length, 0));
      for (const group of groupByTokenBudget(lengths, tokenBudget)) {
        const found = noGrad(() => scope(() => logits(group.map((i) => encoded[i])).toTypedArray() as Float32Array));
        group.forEach((document, i) => {
          scores[document] = found[i];
        });
      }
      return scores;
    },
    dispose() {
      model.dispose();
      aggregator.dispose();
      for (const value of head.values()) value.dispose();
    },
  };
}
