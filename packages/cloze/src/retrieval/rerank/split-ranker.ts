// A reranker that reads queries and documents apart below a layer (PreTTR, MacAvaney 2020): what it reads of documents is kept.
import { linear, noGrad, scope, type Tensor, take, tensor } from "@cloze/tensor";
import { groupByTokenBudget } from "../../data/packed-batch.js";
import { createParameters, lookUp, type ParameterSource } from "../../encoder/parameters.js";
import { deriveSeed } from "../../encoder/seeds.js";
import type { Model } from "../../families/model.js";
import type { Tokenizer } from "../../text/index.js";
import { type PairSide, type StoredText, splitAt } from "./split-encoder.js";
import { type CompressedText, createStateCodec, type StateCodec } from "./state-codec.js";

/** What a split ranker is told. It is saved with it. */
export interface SplitRankerOptions {
  /** Layers that read documents without a query. */
  layer: number;
  /** Numbers of 16 bits that a token's state is kept in; 0 (default): the state itself, in 32 bits. */
  codec?: number;
  /** Tokens of a query at most; default 32. Positions of documents begin behind them. */
  queryLength?: number;
  /** Tokens of a query with a document at most. Default 256, or as many as the model has positions. */
  maxLength?: number;
}

/** A document as the lower layers read it. */
export type StoredDocumentStates = StoredText | CompressedText;

export interface ReadDocumentsOptions {
  /** Tokens per forward pass. Default 8192. */
  tokenBudget?: number;
  /** Documents longer than the limit are counted there. */
  counts?: { truncatedTexts: number };
}

export interface SplitRanker {
  readonly model: Model;
  readonly tokenizer: Tokenizer;
  readonly codec?: StateCodec;
  readonly options: Required<SplitRankerOptions>;
  /** The encoder's by their names, `split.score.…`, and `split.codec.…`. */
  readonly parameters: ReadonlyMap<string, Tensor>;
  /** Documents through the lower layers. */
  read(documents: readonly string[], options?: ReadDocumentsOptions): StoredText[];
  /** The same as they are kept: by the codec, where there is one. */
  store(documents: readonly string[], options?: ReadDocumentsOptions): StoredDocumentStates[];
  /** One score for each document: higher is more relevant. */
  score(query: string, documents: readonly StoredDocumentStates[], tokenBudget?: number): Float32Array;
  /** Logits of queries with documents, with gradients where recorded: [pairs, 1] */
  logits(
    pairs: readonly { readonly query: string; readonly document: string }[],
    options?: { training?: boolean; seed?: number },
  ): Tensor;
  dispose(): void;
}

/**
 * Puts an encoder, its tokenizer, a score and perhaps a codec together; the ranker owns them.
 *
 * @param source where the parameters beside the encoder's come from; new ones by seed 1 unless told
 * @throws DEPTH_OUT_OF_RANGE, CONFIG_UNSUPPORTED
 * @example
 * const ranker = createSplitRanker(model, tokenizer, { layer: 6, codec: 128 });
 * await trainSplitRanker(ranker, rows, { epochs: 1 });
 * const stored = ranker.store(documents);
 * ranker.score("what is a stoat", stored);
 */
export function createSplitRanker(
  model: Model,
  tokenizer: Tokenizer,
  given: SplitRankerOptions,
  source: ParameterSource = { seed: 1 },
): SplitRanker {
  const { hiddenSize, maxPositions, segmentVocabularySize, initializerRange } = model.encoder.config;
  const maxLength = Math.min(given.maxLength ?? 256, maxPositions > 0 ? maxPositions : 512);
  const options: Required<SplitRankerOptions> = {
    layer: given.layer,
    codec: given.codec ?? 0,
    queryLength: Math.min(given.queryLength ?? 32, maxLength >> 1),
    maxLength,
  };
  const { layer, queryLength } = options;
  const split = splitAt({ encoder: model.encoder, forward: model.encoder.forward }, layer);
  const own = (name: string): ParameterSource =>
    "load" in source
      ? { seed: 1, load: (key) => source.load(`${name}.${key}`) }
      : { seed: deriveSeed(source.seed, `split.${name}`) };
  const head = createParameters(
    [
      { name: "weight", shape: [1, hiddenSize], initial: "normal" },
      { name: "bias", shape: [1], initial: "zeros" },
    ],
    own("score"),
    initializerRange,
  );
  const codec = options.codec > 0 ? createStateCodec(hiddenSize, options.codec, own("codec")) : undefined;
  const parameters = new Map(model.encoder.parameters);
  for (const [name, value] of head) parameters.set(`split.score.${name}`, value);
  for (const [name, value] of codec?.parameters ?? []) parameters.set(`split.codec.${name}`, value);

  // What stands in front of a second text, of which an empty first one leaves the special tokens.
  const front = tokenizer.encodeIds("", { truncation: false }).length;
  const queryOf = (text: string): PairSide => ({
    ids: tokenizer.encodeIds(text, { truncation: { maxLength: queryLength } }),
  });
  const documentOf = (pair: string): PairSide & { readonly cut: boolean } => {
    const truncation = { maxLength: maxLength - queryLength + front, strategy: "only-second" } as const;
    const { ids, overflowing } = tokenizer.encode("", { pair, truncation, padding: false });
    return {
      ids: ids.slice(front),
      segment: segmentVocabularySize > 1 ? 1 : 0,
      firstPosition: queryLength,
      cut: overflowing.length > 0,
    };
  };
  const scoresOf = ({ hidden, batch }: ReturnType<typeof split.resume>): Tensor => {
    const first = take(hidden, tensor(batch.offsets.slice(0, -1))); // [pairs, hidden]
    return linear(first, lookUp(head, "weight"), lookUp(head, "bias"));
  };
  function read(documents: readonly string[], { tokenBudget = 8192, counts }: ReadDocumentsOptions = {}): StoredText[] {
    const sides = documents.map(documentOf);
    if (counts !== undefined) counts.truncatedTexts += sides.filter(({ cut }) => cut).length;
    const lengths = sides.map(({ ids }) => ids.length);
    const found: StoredText[] = new Array(documents.length);
    for (const group of groupByTokenBudget(lengths, tokenBudget)) {
      const states = split.store(group.map((i) => sides[i]));
      group.forEach((document, i) => {
        found[document] = states[i];
      });
    }
    return found;
  }
  const whole = (text: StoredDocumentStates): StoredText =>
    "codes" in text ? (codec as StateCodec).expand(text) : text;
  return {
    model,
    tokenizer,
    codec,
    options,
    parameters,
    read,
    store: (documents, options) =>
      read(documents, options).map((text) => (codec === undefined ? text : codec.compress(text))),
    score(query, documents, tokenBudget = 8192) {
      const scores = new Float32Array(documents.length);
      if (documents.length === 0) return scores;
      const [asked] = split.store([queryOf(query)]);
      const lengths = documents.map(({ ids }) => ids.length + asked.ids.length);
      for (const group of groupByTokenBudget(lengths, tokenBudget)) {
        const pairs = group.map((i) => [asked, whole(documents[i])] as const);
        const found = noGrad(() => scope(() => scoresOf(split.resume(pairs)).toTypedArray() as Float32Array));
        group.forEach((document, i) => {
          scores[document] = found[i];
        });
      }
      return scores;
    },
    logits: (pairs, how) =>
      scope(() => {
        const sides = pairs.map(({ query, document }) => [queryOf(query), documentOf(document)] as const);
        return scoresOf(split.forward(sides, { ...how, recode: codec?.forward }));
      }),
    dispose() {
      model.dispose();
      codec?.dispose();
      for (const value of head.values()) value.dispose();
    },
  };
}
