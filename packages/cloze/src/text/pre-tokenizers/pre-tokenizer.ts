import type { NormalizedText } from "../normalized-text.js";

/** Receives one piece: units `start` to `end` of a text. */
export type EmitPiece = (source: NormalizedText, start: number, end: number) => void;

/** A step that cuts text into the pieces that the model may not cross. */
export interface PreTokenizer {
  /** Cuts units `start` to `end` of a text; emits pieces that are not empty, from left to right. */
  split(source: NormalizedText, start: number, end: number, emit: EmitPiece): void;

  /**
   * Whether a text may be cut before single spaces (with no other white space beside them) first, and each part then as
   * if it were a text of its own. False where absent.
   */
  readonly cutsAtSpaces?: boolean;

  /** Whether white space keeps apart what stands beside it, and says nothing else. False where absent. */
  readonly dropsSpaces?: boolean;

  /** Whether the cuts depend on where a piece stood in the original text, so that alignments are needed. */
  readonly needsAlignment?: boolean;

  /**
   * The same step without a last conversion to byte stand-ins, where it ends with one; the caller converts each piece
   * itself. Null or absent where there is no such step.
   */
  withoutBytes?(): PreTokenizer | null;
}
