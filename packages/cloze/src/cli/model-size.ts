// Sizes of new models by name, for the commands that train from nothing.
import { type EncoderConfig, uniformEncoder } from "../encoder/config.js";

/** Layers, width and heads, as the BERT miniatures and BERT itself have them. */
export const modelSizes = {
  tiny: { layers: 2, hiddenSize: 128, heads: 2 },
  mini: { layers: 4, hiddenSize: 256, heads: 4 },
  small: { layers: 4, hiddenSize: 512, heads: 8 },
  minilm: { layers: 6, hiddenSize: 384, heads: 12 },
  base: { layers: 12, hiddenSize: 768, heads: 12 },
} as const;
export type ModelSize = keyof typeof modelSizes;

/** A new encoder's configuration by size. */
export const encoderOfSize = (
  size: ModelSize,
  vocabularySize: number,
  maxPositions: number,
  dropout = 0.1,
): EncoderConfig => uniformEncoder({ ...modelSizes[size], vocabularySize, maxPositions, dropout });
