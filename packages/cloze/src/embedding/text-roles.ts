// How a text's tokens are numbered for the encoder, where queries and documents are read differently.
import { type PackedBatch, packSequences } from "../data/packed-batch.js";
import type { Tokenizer } from "../text/index.js";

/** How one kind of text is laid out. */
export interface TextRole {
  /** Number of the first position. Default 0. */
  positionOffset?: number;
  /** Segment of its tokens. Default 0. */
  segment?: number;
  /** Tokens at most; default: the embedder's limit. */
  maxLength?: number;
}

/** The two kinds of text in a search. */
export interface TextRoles {
  query?: TextRole;
  document?: TextRole;
}

interface Layout {
  maxLength: number;
  specialTokens: boolean;
}

/** Packs sequences and numbers their tokens as the role says. */
export function packIds(sequences: readonly ArrayLike<number>[], role: TextRole = {}): PackedBatch {
  const { positionOffset = 0, segment = 0 } = role;
  const batch = packSequences(sequences.map((ids) => ({ ids })));
  if (segment !== 0) batch.segments.fill(segment);
  if (positionOffset !== 0) for (let i = 0; i < batch.positions.length; i++) batch.positions[i] += positionOffset;
  return batch;
}

/** The ids of texts, cut to the limit of their role. */
export function tokenizeTexts(
  tokenizer: Tokenizer,
  texts: readonly string[],
  { maxLength, specialTokens }: Layout,
  role: TextRole = {},
): Int32Array[] {
  const limit = Math.min(maxLength, role.maxLength ?? maxLength);
  return texts.map((text) =>
    tokenizer.encodeIds(text, { addSpecialTokens: specialTokens, truncation: { maxLength: limit } }),
  );
}
