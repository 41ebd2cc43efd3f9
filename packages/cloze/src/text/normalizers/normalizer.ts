import type { NormalizedText } from "../normalized-text.js";

/** A step that rewrites text before it is cut into words, keeping the way back to the original. */
export interface Normalizer {
  /** Rewrites the text in place. */
  normalize(text: NormalizedText): void;

  /**
   * Whether a text that is cut before single spaces (with no other white space beside them), normalized part by part and
   * put together again, gives what normalizing the whole gives, as long as no part begins or ends with more white space
   * than before. False where absent.
   */
  readonly cutsAtSpaces?: boolean;

  /**
   * For a step that looks at one character at a time: whether this one becomes white space, or gets some before it, so that a
   * text may be cut there. Absent for all other steps.
   */
  separates?(code: number): boolean;
}
