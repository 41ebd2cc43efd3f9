import type { AddedTokenMatch } from "./added-tokens.js";
import { toByteCharacters } from "./byte-alphabet.js";
import { ChunkCache, EMPTY_HASH, hashUnit } from "./chunk-cache.js";
import type { Model } from "./models/model.js";
import { NormalizedText } from "./normalized-text.js";
import type { PipelineParts } from "./pipeline.js";
import type { EmitPiece, PreTokenizer } from "./pre-tokenizers/pre-tokenizer.js";
import type { Steps } from "./steps.js";
import { blockLength, cutsAtSpaces, type TextCuts, textCuts } from "./text-cuts.js";
import { isSpace, wellFormed } from "./unicode.js";

/** Pieces longer than this are seldom seen again. */
const LONGEST_REMEMBERED = 48;
const MOST_REMEMBERED = 1 << 16;

/** Ids in the order in which they come, in an array that grows. */
export class IdBuffer {
  ids: Int32Array = new Int32Array(1024);
  size = 0;

  push(id: number): void {
    this.reserve(1);
    this.ids[this.size++] = id;
  }

  /** Makes room for more. */
  reserve(count: number): void {
    if (this.size + count <= this.ids.length) return;
    const longer = new Int32Array(Math.max(this.ids.length * 2, this.size + count));
    longer.set(this.ids.subarray(0, this.size));
    this.ids = longer;
  }

  /** Adds places `start` to `end` of a list. */
  append(ids: ArrayLike<number>, start = 0, end = ids.length): void {
    this.reserve(end - start);
    let at = this.size;
    for (let from = start; from < end; from++) this.ids[at++] = ids[from];
    this.size = at;
  }
}

/**
 * Texts to ids alone. Two things are remembered: the ids of pieces, and, where the steps of the tokenizer allow to cut a
 * text before single spaces first, the ids of the chunks between them as they stand in the text, so that what was seen
 * before is not even normalized again.
 */
export class IdEncoder {
  private readonly parts: PipelineParts;
  private readonly model: Model;
  private readonly preTokenizer: PreTokenizer | null;
  private readonly needsBytes: boolean;
  private readonly tracked: boolean;
  private readonly cutsAtSpaces: boolean;
  private readonly cuts: TextCuts | undefined;
  private readonly pieces = new Map<string, readonly number[]>();
  private chunks: ChunkCache | null = null;
  private readonly chunkIds = new IdBuffer();
  private output = new IdBuffer();

  constructor(parts: PipelineParts) {
    const { preTokenizer, model } = parts;
    this.parts = parts;
    this.model = model;
    const withoutBytes = preTokenizer?.withoutBytes?.() ?? null;
    this.preTokenizer = withoutBytes ?? preTokenizer;
    this.needsBytes = withoutBytes !== null;
    this.tracked = preTokenizer?.needsAlignment ?? false;
    this.cutsAtSpaces = cutsAtSpaces(parts);
    this.cuts = textCuts(parts);
  }

  /** Adds the ids of a text to a buffer. */
  encode(input: string, output: IdBuffer): void {
    const text = wellFormed(input);
    const pieces = this.parts.added.raw.split(text);
    if (!pieces) {
      this.encodeRange(text, 0, text.length, output);
      return;
    }
    for (const { start, end, token } of pieces) {
      if (token) output.push(token.id);
      else this.encodeRange(text, start, end, output);
    }
  }

  /** The same in steps of some thousand characters, where the parts let a text be cut. The buffer must be the caller's own. */
  *encodeSteps(input: string, output: IdBuffer): Steps<void> {
    const text = wellFormed(input);
    let since = 0;
    for (const { start, end, token } of this.parts.added.raw.split(text) ?? [wholeOf(text)]) {
      if (token) output.push(token.id);
      else yield* this.rangeSteps(text, start, end, output);
      if (end - since < blockLength) continue;
      since = end;
      yield;
    }
  }

  private *rangeSteps(text: string, start: number, end: number, output: IdBuffer): Steps<void> {
    const { cuts } = this;
    const { size } = output;
    let from = start;
    while (cuts !== undefined && from < end) {
      const to = cuts.after(text, from, end);
      if (cuts.anyway) this.encodeRange(text, from, to, output);
      else if (!this.encodeChunks(text, from, to, output, from === start, to === end)) break;
      from = to;
      yield;
    }
    if (from >= end) return;
    output.size = size;
    this.encodeRange(text, start, end, output);
  }

  private encodeRange(text: string, start: number, end: number, output: IdBuffer): void {
    if (end <= start) return;
    if (this.cutsAtSpaces) {
      const size = output.size;
      if (this.encodeChunks(text, start, end, output)) return;
      output.size = size;
    }
    const source = new NormalizedText(text.slice(start, end), start, this.tracked);
    this.parts.normalizer?.normalize(source);
    const { normalized } = this.parts.added;
    const pieces = normalized.split(source.text);
    if (!pieces) {
      this.cut(source, output);
      return;
    }
    for (const piece of pieces) {
      if (piece.token) output.push(piece.token.id);
      else this.cut(source.slice(piece.start, piece.end), output);
    }
  }

  private cut(source: NormalizedText, output: IdBuffer): void {
    if (source.text === "") return;
    this.output = output;
    if (this.preTokenizer) this.preTokenizer.split(source, 0, source.text.length, this.emit);
    else this.emit(source, 0, source.text.length);
  }

  private readonly emit: EmitPiece = (source, start, end) => {
    if (end <= start) return;
    const piece = source.text.slice(start, end);
    let ids = this.pieces.get(piece);
    if (ids === undefined) {
      ids = this.model.tokenize(this.needsBytes ? toByteCharacters(piece) : piece).ids;
      if (piece.length <= LONGEST_REMEMBERED) {
        if (this.pieces.size >= MOST_REMEMBERED) this.pieces.clear();
        this.pieces.set(ownCopy(piece), ids);
      }
    }
    this.output.append(ids);
  };

  /**
   * Encodes a range chunk by chunk; false where a chunk cannot stand for itself, and the output is then unfinished.
   *
   * @param opens the range begins what is encoded as a whole; @param closes it ends it
   */
  private encodeChunks(text: string, from: number, to: number, output: IdBuffer, opens = true, closes = true): boolean {
    this.chunks ??= new ChunkCache();
    const { chunks } = this;
    let start = from;
    let hash = EMPTY_HASH;
    let previous = 0x20;
    for (let unit = from; ; unit++) {
      const code = unit < to ? text.charCodeAt(unit) : -1;
      if (
        code === -1 ||
        (code === 0x20 && !isSpace(previous) && unit + 1 < to && !isSpace(text.charCodeAt(unit + 1)))
      ) {
        if (chunks.find(text, start, unit, hash)) output.append(chunks.ids, chunks.start, chunks.end);
        else if (!this.encodeChunk(text, start, unit, hash, output, opens && start === from, closes && unit === to))
          return false;
        if (code === -1) return true;
        start = unit;
        hash = EMPTY_HASH;
      }
      hash = hashUnit(hash, code);
      previous = code;
    }
  }

  /** Encodes a chunk that is not known, and remembers it where it reads the same in any place. */
  private encodeChunk(
    text: string,
    start: number,
    end: number,
    hash: number,
    output: IdBuffer,
    isFirst: boolean,
    isLast: boolean,
  ): boolean {
    const source = new NormalizedText(text.slice(start, end), start, false);
    this.parts.normalizer?.normalize(source);
    const normalized = source.text;
    const beginsAlone =
      text.charCodeAt(start) !== 0x20 || (normalized.charCodeAt(0) === 0x20 && !isSpace(normalized.charCodeAt(1)));
    const endsAlone = !isSpace(normalized.charCodeAt(normalized.length - 1));
    if ((!beginsAlone && !isFirst) || (!endsAlone && !isLast)) return false;
    const { chunkIds } = this;
    chunkIds.size = 0;
    this.cut(source, chunkIds);
    const ids = chunkIds.ids.subarray(0, chunkIds.size);
    output.append(ids);
    if (beginsAlone && endsAlone) this.chunks?.add(text, start, end, hash, ids);
    return true;
  }
}

/** A text without added tokens, as a piece of itself. */
export const wholeOf = (text: string): AddedTokenMatch => ({ start: 0, end: text.length, token: null });

/** A piece that does not keep the text alive that it was cut from. */
export function ownCopy(piece: string): string {
  return piece.length < 13 ? piece : ` ${piece}`.slice(1);
}
