import type { NormalizedText } from "../normalized-text.js";

/** A step that rewrites text before it is cut into words, keeping the way back to the original. */
export interface Normalizer {
  /** Rewrites the text in place. */
  normalize(text: NormalizedText): void;
}
