// Embedders without an encoder to speak of: the vector of a text is the mean of its tokens' rows in a table.
import type { Tensor } from "@cloze/tensor";
import type { EncoderConfig } from "../encoder/config.js";
import type { ParameterSource } from "../encoder/parameters.js";
import { bagEncoder } from "../encoder/presets.js";
import { buildModel, type Model } from "../families/model.js";
import { parseHeadConfig } from "../heads/index.js";
import type { Tokenizer } from "../text/index.js";
import { createEmbedder, type Embedder, type EmbedderParts } from "./embedder.js";

/** Tokens of a text at most: as good as all. */
export const staticMaxLength = 1 << 20;

interface Size {
  readonly vocabularySize: number;
  readonly hiddenSize: number;
}

/** Embeddings and nothing else; steps of training visit the rows of their tokens only. */
const configOf = (size: Size, initializerRange?: number): EncoderConfig =>
  bagEncoder({
    ...size,
    maxPositions: staticMaxLength,
    padId: null,
    initializerRange,
    dropout: 0,
    embeddings: { type: "tokens", sparse: true, paddingRow: false },
  });

/** Whether an encoder is a table of vectors and nothing else, which sentence-transformers' StaticEmbedding describes. */
export function isStaticConfig(config: EncoderConfig): boolean {
  const { embeddings, layers, segmentVocabularySize, normPosition, finalNorm } = config;
  const normed = normPosition === "pre" && finalNorm;
  if (embeddings.type !== "tokens" || layers.length > 0 || segmentVocabularySize > 0 || normed) return false;
  const plain = configOf(config).embeddings;
  return JSON.stringify({ ...plain, ...embeddings, sparse: true }) === JSON.stringify(plain);
}

const build = (config: EncoderConfig, source: ParameterSource): Model =>
  buildModel(config, parseHeadConfig({ type: "none" }), source, { seed: 1 });

/**
 * The model of a static embedder: an encoder without layers.
 *
 * @param table [entries, width], handed over
 */
export const staticModel = (table: Tensor): Model =>
  build(configOf({ vocabularySize: table.shape[0], hiddenSize: table.shape[1] }), { load: () => table });

/** How a static embedder reads texts, as sentence-transformers' StaticEmbedding does. */
export const staticReading = { pooling: "mean", specialTokens: false, includePrompt: true } as const;

export interface StaticEmbedderOptions extends Omit<EmbedderParts, "pooling" | "specialTokens" | "includePrompt"> {
  /** Length of a vector. Default 256. */
  width?: number;
  /** Vectors of tokens to begin with, handed over. [entries, width]; default: drawn by the seed. */
  table?: Tensor;
  /** Default 1. */
  seed?: number;
}

/**
 * An embedder that is a table of vectors: a text's vector is the mean of its tokens'. It has no layers to run (a look-up for each
 * token), and knows no order of words. `saveEmbedder` writes it as sentence-transformers' StaticEmbedding.
 *
 * @throws EMBEDDER_VOCABULARY where the table has fewer rows than the tokenizer entries
 * @example
 * const embedder = createStaticEmbedder(loadTokenizer("bert-base-uncased"), { width: 512 });
 * await trainEmbedder(embedder, pairs, { epochs: 1, learningRate: 0.1, batchSize: 1024 });
 */
export function createStaticEmbedder(
  tokenizer: Tokenizer,
  { width = 256, table, seed = 1, ...options }: StaticEmbedderOptions = {},
): Embedder {
  const { vocabularySize } = tokenizer;
  const model =
    table === undefined ? build(configOf({ vocabularySize, hiddenSize: width }, 1), { seed }) : staticModel(table);
  try {
    return createEmbedder(model, tokenizer, { ...options, ...staticReading });
  } catch (error) {
    model.dispose();
    throw error;
  }
}
