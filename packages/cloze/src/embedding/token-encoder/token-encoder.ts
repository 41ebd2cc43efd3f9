// Texts to a vector for each of their tokens (ColBERT, arXiv 2004.12832), as an encoder that is trained, saved and searched with.
import { noGrad, scope, type Tensor, take, tensor } from "@cloze/tensor";
import { groupByTokenBudget } from "../../data/packed-batch.js";
import type { EncoderOptions } from "../../encoder/encoder.js";
import { ClozeError } from "../../errors.js";
import type { Model } from "../../families/model.js";
import { normalizeRows } from "../../objectives/contrastive.js";
import type { Tokenizer } from "../../text/index.js";
import { createEmbedder, type Embedder, type TextBatch, type TrainableEncoder } from "../embedder.js";
import { createDense, type EmbedderModule } from "../modules/index.js";
import { cutCounted, frameOf, type TextCounts, type TextRoles, wholeIds } from "../text-roles.js";

export interface TokenEncoderOptions {
  /** Length of a token's vector. Default 128. */
  width?: number;
  /** Tokens of a query: shorter ones are filled with [MASK], longer ones cut. Default 32. */
  queryLength?: number;
  /** Tokens of a document at most. Default 180, or as many as the model has positions. */
  documentLength?: number;
  /** Fill queries with [MASK] (query augmentation). Default: where the tokenizer has it. */
  expandQueries?: boolean;
  /** The query's other tokens look at its [MASK]s. Default true. */
  attendToExpansion?: boolean;
  /**
   * A token behind [CLS] that says what a text is, by its name. Default: "[Q] " and "[D] ", "[Q]" and "[D]", or BERT's "[unused0]"
   * and "[unused1]", the first that the vocabulary has; none where it has none.
   */
  markers?: Readonly<Record<keyof TextRoles, string>>;
  /** Tokens of documents that get no vector. Default: ASCII's punctuation. */
  skip?: readonly string[];
  /** Hidden size -> width; default: a new linear one without bias. The encoder owns it. */
  projection?: EmbedderModule;
  seed?: number;
}

export interface TokenEncodeOptions {
  role?: keyof TextRoles;
  /** Tokens per forward pass. Default 4096. */
  tokenBudget?: number;
  /** Receives what was cut. */
  counts?: TextCounts;
}

/** An encoder of texts as vectors of their tokens. `trainEmbedder` trains it, with the loss `colbert`. */
export interface TokenEncoder extends TrainableEncoder {
  readonly tokenizer: Tokenizer;
  readonly settings: Required<Omit<TokenEncoderOptions, "seed" | "markers">> & Pick<TokenEncoderOptions, "markers">;
  /** Encoder and projection, as an embedder has them. */
  readonly embedder: Embedder;
  /** Vectors of length 1 of each text of a batch, from what the encoder makes of its tokens: for each text [tokens, width] */
  tokenVectors(hidden: Tensor, batch: TextBatch): Float32Array[];
  /** Vectors of length 1 of each text: [tokens, width] */
  encode(texts: readonly string[], options?: TokenEncodeOptions): Float32Array[];
  dispose(): void;
}

const usualMarkers = [
  { query: "[Q] ", document: "[D] " },
  { query: "[Q]", document: "[D]" },
  { query: "[unused0]", document: "[unused1]" },
] as const;

const punctuation = [..."!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"];

/**
 * Puts a model, a tokenizer and a projection together.
 *
 * @throws EMBEDDER_VOCABULARY, TOKEN_UNKNOWN for a marker that the vocabulary lacks
 * @example
 * const encoder = createTokenEncoder(model, tokenizer, { width: 128 });
 * await trainEmbedder(encoder, pairs, { loss: "colbert", steps: 1000 });
 * const index = createLateInteractionIndex(encoder.encode(documents), encoder.width);
 * const hits = index.search(encoder.encode(["what is a stoat"], { role: "query" })[0], 10);
 */
export function createTokenEncoder(
  model: Model,
  tokenizer: Tokenizer,
  options: TokenEncoderOptions = {},
): TokenEncoder {
  const { maxPositions, hiddenSize } = model.encoder.config;
  const positions = maxPositions > 0 ? maxPositions : 512;
  const projection =
    options.projection ??
    createDense(
      { inputSize: hiddenSize, outputSize: options.width ?? 128, activation: "Identity", bias: false },
      options.seed,
    );
  const markers =
    options.markers ??
    usualMarkers.find(({ query, document }) =>
      [query, document].every((one) => tokenizer.tokenToId(one) !== undefined),
    );
  const settings: TokenEncoder["settings"] = {
    width: projection.width,
    queryLength: Math.min(options.queryLength ?? 32, positions),
    documentLength: Math.min(options.documentLength ?? 180, positions),
    expandQueries: options.expandQueries ?? tokenizer.roles.mask !== undefined,
    attendToExpansion: options.attendToExpansion ?? true,
    skip: options.skip ?? punctuation,
    markers,
    projection,
  };
  const { width, queryLength, documentLength, expandQueries, attendToExpansion } = settings;
  const markerIds = Object.entries(markers ?? {}).map(([role, token]) => {
    const id = tokenizer.tokenToId(token);
    if (id !== undefined) return [role, id] as const;
    throw new ClozeError("TOKEN_UNKNOWN", `The vocabulary has no token "${token}" to mark a ${role} with`, {
      remedy: "Name tokens that it has (markers), or extend the vocabulary.",
    });
  });
  const markerOf = new Map(markerIds);
  const skipped = new Set(settings.skip.map((token) => tokenizer.tokenToId(token)));
  const embedder = createEmbedder(model, tokenizer, {
    modules: [projection],
    normalize: true,
    maxLength: Math.max(queryLength, documentLength),
  });
  const layout = { maxLength: positions, specialTokens: true };

  const tokenize: TokenEncoder["tokenize"] = (texts, kind = {}, counts) => {
    const role = kind.role ?? "document";
    const marker = markerOf.get(role);
    const limit = role === "query" ? queryLength : documentLength;
    const { before, behind } = frameOf(tokenizer);
    return texts.map((text) => {
      const plain = wholeIds(tokenizer, text, layout);
      const ids =
        marker === undefined ? plain : Int32Array.from([...plain.slice(0, before), marker, ...plain.slice(before)]);
      return cutCounted(ids, limit, behind, counts);
    });
  };
  const packTokens: TokenEncoder["packTokens"] = (ids, kind = {}) => {
    const role = kind.role ?? "document";
    if (role !== "query" || !expandQueries) return { ...embedder.packTokens(ids), role };
    const filled = ids.map((one) => {
      const whole = new Int32Array(queryLength).fill(tokenizer.maskId);
      whole.set(one.subarray(0, queryLength));
      return whole;
    });
    const batch = { ...embedder.packTokens(filled), role };
    return attendToExpansion ? batch : { ...batch, visible: Int32Array.from(ids, ({ length }) => length) };
  };
  /** Tokens of a batch that have a vector, and where those of each text begin. */
  const keptOf = ({ ids, offsets, role }: TextBatch): { rows?: Int32Array; offsets: Int32Array } => {
    if (role === "query" || skipped.size === 0) return { offsets };
    const rows: number[] = [];
    const ends = new Int32Array(offsets.length);
    for (let s = 0; s + 1 < offsets.length; s++) {
      for (let i = offsets[s]; i < offsets[s + 1]; i++) if (!skipped.has(ids[i])) rows.push(i);
      ends[s + 1] = rows.length;
    }
    return { rows: Int32Array.from(rows), offsets: ends };
  };
  /** [tokens, hidden] -> [tokens that count, width] */
  const project = (hidden: Tensor, batch: TextBatch): Tensor => {
    const { rows } = keptOf(batch);
    return projection.forward(rows === undefined ? hidden : take(hidden, tensor(rows)));
  };
  const tokenVectors: TokenEncoder["tokenVectors"] = (hidden, batch) => {
    const { offsets } = keptOf(batch);
    const rows = scope(() => noGrad(() => normalizeRows(project(hidden, batch))).toTypedArray() as Float32Array);
    return Array.from({ length: offsets.length - 1 }, (_, s) => rows.slice(offsets[s] * width, offsets[s + 1] * width));
  };
  return {
    model,
    tokenizer,
    settings,
    embedder,
    options: { normalize: true },
    parameters: embedder.parameters,
    width,
    tokenize,
    packTokens,
    embedBatch: (batch: TextBatch, how?: EncoderOptions) =>
      scope(() => project(model.encoder.forward(batch, how).hidden, batch)),
    poolTokens: project,
    tokenVectors,
    rowOffsets: (batch) => keptOf(batch).offsets,
    encode(texts, { role = "document", tokenBudget = 4096, counts } = {}) {
      const ids = tokenize(texts, { role }, counts);
      const vectors: Float32Array[] = new Array(texts.length);
      const lengths = ids.map(({ length }) => (role === "query" && expandQueries ? queryLength : length));
      for (const group of groupByTokenBudget(lengths, tokenBudget)) {
        const batch = packTokens(
          group.map((i) => ids[i]),
          { role },
        );
        const found = scope(() => tokenVectors(embedder.hiddenOf(batch), batch));
        group.forEach((text, s) => {
          vectors[text] = found[s];
        });
      }
      return vectors;
    },
    dispose: () => embedder.dispose(),
  };
}
