// How a text becomes the tokens that the encoder sees: its prompt, its limit, its positions and segment.
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

/** What is the same for all texts of an embedder. */
export interface TextLayout {
  /** Tokens of a text at most, special tokens and prompt included. */
  readonly maxLength: number;
  readonly specialTokens: boolean;
  /** Texts are lower-cased before they are tokenized. */
  readonly lowerCase?: boolean;
  /** Put before each text. */
  readonly prompt?: string;
}

/** What happened to texts on their way to tokens. */
export interface TextCounts {
  texts: number;
  /** Tokens that the encoder sees. */
  tokens: number;
  /** Texts that were longer than the limit. */
  truncatedTexts: number;
  /** Tokens that did not fit. */
  droppedTokens: number;
}

export const emptyCounts = (): TextCounts => ({ texts: 0, tokens: 0, truncatedTexts: 0, droppedTokens: 0 });

/** Special tokens before and behind a text. */
interface Frame {
  readonly before: number;
  readonly behind: number;
}

const frames = new WeakMap<Tokenizer, Frame>();

/** How many special tokens a tokenizer puts before and behind a text. */
export function frameOf(tokenizer: Tokenizer): Frame {
  const known = frames.get(tokenizer);
  if (known !== undefined) return known;
  const options = { addSpecialTokens: true, truncation: false } as const;
  const [framed, bare] = [
    tokenizer.encodeIds("a", options),
    tokenizer.encodeIds("a", { ...options, addSpecialTokens: false }),
  ];
  const extra = framed.length - bare.length;
  let before = 0;
  while (before < extra && !bare.every((id, i) => framed[before + i] === id)) before++;
  const frame = { before, behind: extra - before };
  frames.set(tokenizer, frame);
  return frame;
}

/** A text as the tokenizer takes it. */
export const prepareText = (text: string, { lowerCase = false, prompt = "" }: TextLayout): string => {
  const whole = prompt === "" ? text : prompt + text;
  return lowerCase ? whole.toLowerCase() : whole;
};

/** All ids of a text, whatever their number. */
export const wholeIds = (tokenizer: Tokenizer, text: string, layout: TextLayout): Int32Array =>
  tokenizer.encodeIds(prepareText(text, layout), { addSpecialTokens: layout.specialTokens, truncation: false });

/** The first ids, and the special tokens that end a text. */
export function cutIds(ids: Int32Array, limit: number, behind: number): Int32Array {
  if (ids.length <= limit) return ids;
  const cut = ids.slice(0, limit);
  const tail = Math.min(behind, limit);
  if (tail > 0) cut.set(ids.subarray(ids.length - tail), limit - tail);
  return cut;
}

/** {@link cutIds}, and what was cut is counted. */
export function cutCounted(ids: Int32Array, limit: number, behind: number, counts?: TextCounts): Int32Array {
  const cut = cutIds(ids, limit, behind);
  if (counts !== undefined) {
    counts.texts++;
    counts.tokens += cut.length;
    counts.truncatedTexts += Number(ids.length > limit);
    counts.droppedTokens += Math.max(0, ids.length - limit);
  }
  return cut;
}

/** Packs sequences and numbers their tokens as the role says. */
export function packIds(sequences: readonly ArrayLike<number>[], role: TextRole = {}): PackedBatch {
  const { positionOffset = 0, segment = 0 } = role;
  const batch = packSequences(sequences.map((ids) => ({ ids })));
  if (segment !== 0) batch.segments.fill(segment);
  if (positionOffset !== 0) for (let i = 0; i < batch.positions.length; i++) batch.positions[i] += positionOffset;
  return batch;
}

/** The ids of texts, cut to the limit of their role; what was cut is counted. */
export function tokenizeTexts(
  tokenizer: Tokenizer,
  texts: readonly string[],
  layout: TextLayout,
  role: TextRole = {},
  counts?: TextCounts,
): Int32Array[] {
  const limit = Math.min(layout.maxLength, role.maxLength ?? layout.maxLength);
  const behind = layout.specialTokens ? frameOf(tokenizer).behind : 0;
  return texts.map((text) => cutCounted(wholeIds(tokenizer, text, layout), limit, behind, counts));
}
