// Encoders that papers compare transformers with: recurrent, convolutional, bags of words.
import { type EncoderConfig, type EncoderConfigInput, type LayerConfigInput, parseEncoderConfig } from "./config.js";
import type { MixerConfigInput } from "./mixers/index.js";

/** What the presets share with any encoder. Words have no positions and no segments, unless given. */
interface PresetOptions extends Omit<EncoderConfigInput, "layers"> {
  /** For all places at once. Default 0.1. */
  dropout?: number;
}

/** Plain vectors of words; layers that are a mixer and nothing else. */
function plain({ dropout = 0.1, embeddings, ...rest }: PresetOptions, layers: readonly LayerConfigInput[]) {
  return parseEncoderConfig({
    segmentVocabularySize: 0,
    // Without norms, vectors that start as small as a transformer's would learn slowly.
    initializerRange: 0.1,
    ...rest,
    embeddings: { positions: "none", norm: false, dropout, ...embeddings },
    layers: layers.map((layer) => ({ dropout, ...layer })),
  });
}

const alone = (mixer: MixerConfigInput): LayerConfigInput => ({
  mixer,
  channel: { type: "none" },
  residual: false,
  mixerNorm: false,
});

export interface RecurrentEncoderOptions extends PresetOptions {
  /** Default 1. */
  layers?: number;
  /** Default "lstm". */
  cell?: "lstm" | "gru";
  /** Default true: half of the hidden size for each direction. */
  bidirectional?: boolean;
}

/**
 * A (Bi)LSTM or (Bi)GRU over word vectors. For classification pool by "max" or "mean"; "last" fits one direction only.
 *
 * @throws CONFIG_INVALID
 * @example
 * const config = recurrentEncoder({ vocabularySize: 8000, hiddenSize: 256, cell: "gru" });
 * const model = createModel({ architecture: "ForSequenceClassification", config, pooling: "max", pooler: null });
 */
export function recurrentEncoder({
  layers = 1,
  cell = "lstm",
  bidirectional = true,
  ...rest
}: RecurrentEncoderOptions): EncoderConfig {
  const layer = alone({ type: "recurrent", cell, bidirectional });
  return plain(
    rest,
    Array.from({ length: layers }, () => layer),
  );
}

export interface ConvolutionalEncoderOptions extends PresetOptions {
  /** Default 1: TextCNN. */
  layers?: number;
  /** Widths in tokens; each gets an equal part of the hidden size. Default 3, 4, 5. */
  kernels?: number[];
}

/**
 * TextCNN (arXiv 1408.5882): convolutions of several widths over word vectors; pool by "max". Over a tokenizer of
 * characters it is a character CNN.
 *
 * @throws CONFIG_INVALID
 * @example
 * const config = convolutionalEncoder({ vocabularySize: 8000, hiddenSize: 300, dropout: 0.5 });
 * const model = createModel({ architecture: "ForSequenceClassification", config, pooling: "max", pooler: null });
 */
export function convolutionalEncoder({
  layers = 1,
  kernels = [3, 4, 5],
  ...rest
}: ConvolutionalEncoderOptions): EncoderConfig {
  const layer = alone({ type: "convolution", kernels });
  return plain(
    rest,
    Array.from({ length: layers }, () => layer),
  );
}

export interface BagEncoderOptions extends PresetOptions {
  /** Lengths of n-grams that have vectors too, by hash (fastText, arXiv 1607.01759). Default none. */
  ngrams?: number[];
  /** Rows of their table. Default 2^18. */
  buckets?: number;
}

/**
 * Word vectors alone, or with those of n-grams: pool by "mean" for a deep averaging network or fastText's classifier.
 *
 * @throws CONFIG_INVALID
 * @example
 * const config = bagEncoder({ vocabularySize: 8000, hiddenSize: 100, ngrams: [2] });
 * const model = createModel({ architecture: "ForSequenceClassification", config, pooling: "mean", pooler: null });
 */
export function bagEncoder({ ngrams = [], buckets, ...rest }: BagEncoderOptions): EncoderConfig {
  if (ngrams.length === 0) return plain(rest, []);
  const mixer: MixerConfigInput = { type: "hashed-ngrams", sizes: ngrams, buckets };
  return plain(rest, [{ ...alone(mixer), residual: true }]);
}
