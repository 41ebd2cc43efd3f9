import type { PostProcessor, TemplatePart } from "./post-processors/index.js";
import type { Steps } from "./steps.js";
import { isWhitespace } from "./unicode.js";

/** What a text, or a pair of texts, is encoded to. Position `i` of every list is about token `i`. */
export interface Encoding {
  readonly ids: Int32Array;
  /** Which segment a token belongs to, as the model's template says: 0 or 1. */
  readonly typeIds: Int32Array;
  readonly tokens: readonly string[];
  /** Where a token stands in its text: UTF-16 units, so `text.slice(start, end)`; [0, 0] for special tokens. */
  readonly offsets: readonly (readonly [number, number])[];
  /** 1 for tokens that stand in no text: `[CLS]`, padding. */
  readonly specialTokensMask: Uint8Array;
  /** 0 for padding. */
  readonly attentionMask: Uint8Array;
  /** Which word of its text a token belongs to; null for special tokens. */
  readonly wordIds: readonly (number | null)[];
  /** Which text a token belongs to: 0 is the first, 1 the second of a pair; null for special tokens. */
  readonly sequenceIds: readonly (number | null)[];
  /** What truncation cut off, in windows of the same length that overlap by the stride. */
  readonly overflowing: readonly Encoding[];
}

/** The tokens of one text, before special tokens are put around them. */
export interface SequenceTokens {
  readonly ids: number[];
  readonly tokens: string[];
  readonly starts: number[];
  readonly ends: number[];
  readonly words: number[];
}

/** An empty {@link SequenceTokens}. */
export function emptySequence(): SequenceTokens {
  return { ids: [], tokens: [], starts: [], ends: [], words: [] };
}

/** Tokens `start` to `end` of a sequence. */
export function sliceSequence(sequence: SequenceTokens, start: number, end: number): SequenceTokens {
  if (start === 0 && end === sequence.ids.length) return sequence;
  return {
    ids: sequence.ids.slice(start, end),
    tokens: sequence.tokens.slice(start, end),
    starts: sequence.starts.slice(start, end),
    ends: sequence.ends.slice(start, end),
    words: sequence.words.slice(start, end),
  };
}

const WITHOUT_TEMPLATE: readonly TemplatePart[] = [
  { kind: "sequence", index: 0, typeId: 0 },
  { kind: "sequence", index: 1, typeId: 1 },
];

/** The parts that a text (or a pair) is put together from. */
export function templateOf(postProcessor: PostProcessor | null, isPair: boolean): readonly TemplatePart[] {
  const template = isPair ? postProcessor?.pair : postProcessor?.single;
  return template ?? (isPair ? WITHOUT_TEMPLATE : WITHOUT_TEMPLATE.slice(0, 1));
}

/** How many special tokens a template adds. */
export function countSpecial(template: readonly TemplatePart[]): number {
  return template.reduce((count, part) => count + (part.kind === "special" ? part.ids.length : 0), 0);
}

/** How sequences become an encoding. */
export interface AssembleOptions {
  readonly template: readonly TemplatePart[];
  readonly addSpecialTokens: boolean;
  /** Whether offsets leave out white space; see {@link PostProcessor}. */
  readonly trim: PostProcessor["trim"];
  /** The texts that the sequences came from. */
  readonly texts: readonly string[];
}

/** Tokens of a step. */
const stepTokens = 4096;

/** Puts special tokens around one or two sequences, in steps. */
export function* assembleSteps(sequences: readonly SequenceTokens[], options: AssembleOptions): Steps<Encoding> {
  const { template, addSpecialTokens, trim, texts } = options;
  const ids: number[] = [];
  const typeIds: number[] = [];
  const tokens: string[] = [];
  const offsets: [number, number][] = [];
  const special: number[] = [];
  const wordIds: (number | null)[] = [];
  const sequenceIds: (number | null)[] = [];
  for (const part of template) {
    if (part.kind === "special") {
      if (!addSpecialTokens) continue;
      part.ids.forEach((id, index) => {
        ids.push(id);
        tokens.push(part.tokens[index]);
        typeIds.push(part.typeId);
        offsets.push([0, 0]);
        special.push(1);
        wordIds.push(null);
        sequenceIds.push(null);
      });
      continue;
    }
    const sequence = sequences[part.index];
    for (let at = 0; at < sequence.ids.length; at++) {
      ids.push(sequence.ids[at]);
      tokens.push(sequence.tokens[at]);
      typeIds.push(part.typeId);
      const range: [number, number] = [sequence.starts[at], sequence.ends[at]];
      offsets.push(trim ? trimmed(texts[part.index], sequence.tokens[at], range, trim.addPrefixSpace, at) : range);
      special.push(0);
      wordIds.push(sequence.words[at]);
      sequenceIds.push(part.index);
      if (at % stepTokens === stepTokens - 1) yield;
    }
  }
  return {
    ids: Int32Array.from(ids),
    typeIds: Int32Array.from(typeIds),
    tokens,
    offsets,
    specialTokensMask: Uint8Array.from(special),
    attentionMask: new Uint8Array(ids.length).fill(1),
    wordIds,
    sequenceIds,
    overflowing: [],
  };
}

/**
 * A token's range without the white space at its ends. White space is counted in the token, and taken off in characters
 * of the text: a space that was put before a word takes its first character along.
 */
function trimmed(
  text: string,
  token: string,
  [start, end]: [number, number],
  addPrefixSpace: boolean,
  place: number,
): [number, number] {
  let leading = 0;
  while (leading < token.length && isSpace(token.charCodeAt(leading))) leading++;
  let trailing = 0;
  while (trailing < token.length && isSpace(token.charCodeAt(token.length - 1 - trailing))) trailing++;
  // A space before the first word was put there, not found there.
  if (leading === 1 && addPrefixSpace && (place === 0 || start === 0)) leading = 0;
  let from = start;
  for (; leading > 0 && from < end; leading--) from += text.codePointAt(from)! > 0xffff ? 2 : 1;
  from = Math.min(from, end);
  let to = end;
  for (; trailing > 0 && to > from; trailing--) to -= to > 1 && text.codePointAt(to - 2)! > 0xffff ? 2 : 1;
  return [from, Math.max(to, from)];
}

/** U+0120 is what byte-level vocabularies write for a space. */
function isSpace(unit: number): boolean {
  return unit === 0x120 || isWhitespace(unit);
}
