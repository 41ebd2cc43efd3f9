// Small encoders of words and of images that nothing tells places but contents.
import { uniformEncoder } from "../src/encoder/config.js";

export const hiddenSize = 12;
const sizes = { hiddenSize, layers: 3, heads: 3, maxPositions: 40, dropout: 0, initializerRange: 0.4 };
export const words = (more: object = {}) =>
  uniformEncoder({ ...sizes, vocabularySize: 30, embeddings: { positions: "none", dropout: 0 }, ...more });
export const layout = { imageSize: [4, 6] as [number, number], patchSize: [2, 2] as [number, number], channels: 3 };
export const images = (more: object = {}) =>
  uniformEncoder({
    ...sizes,
    vocabularySize: 0,
    segmentVocabularySize: 0,
    normPosition: "pre",
    embeddings: { type: "patches", ...layout, positions: "none", ...more },
  });

/** The greatest difference between two rows. */
export const greatest = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Math.max(...Array.from(a, (x, i) => Math.abs(x - b[i])));
