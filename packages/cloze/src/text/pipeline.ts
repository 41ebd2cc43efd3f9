import type { AddedVocabulary } from "./added-tokens.js";
import { toByteCharacters } from "./byte-alphabet.js";
import { emptySequence, type SequenceTokens } from "./encoding.js";
import type { Model, PieceTokens } from "./models/model.js";
import { NormalizedText } from "./normalized-text.js";
import type { Normalizer } from "./normalizers/normalizer.js";
import type { EmitPiece, PreTokenizer } from "./pre-tokenizers/pre-tokenizer.js";
import { wellFormed } from "./unicode.js";

/** The steps from a text to its tokens, without special tokens around them. */
export interface PipelineParts {
  readonly normalizer: Normalizer | null;
  readonly preTokenizer: PreTokenizer | null;
  readonly model: Model;
  readonly added: AddedVocabulary;
}

/** Pieces longer than this are seldom seen again. */
const LONGEST_REMEMBERED = 48;
const MOST_REMEMBERED = 1 << 17;

/** A piece that does not keep the text alive that it was cut from. */
function ownCopy(piece: string): string {
  return piece.length < 13 ? piece : ` ${piece}`.slice(1);
}

/** Ids in the order in which they come, in an array that grows. */
export class IdBuffer {
  ids: Int32Array = new Int32Array(1024);
  size = 0;

  push(id: number): void {
    if (this.size === this.ids.length) this.reserve(1);
    this.ids[this.size++] = id;
  }

  /** Makes room for more. */
  reserve(count: number): void {
    if (this.size + count <= this.ids.length) return;
    const longer = new Int32Array(Math.max(this.ids.length * 2, this.size + count));
    longer.set(this.ids.subarray(0, this.size));
    this.ids = longer;
  }
}

/**
 * Runs texts through the steps of a tokenizer, in one of two ways: with everything that is known about a token, or with
 * ids alone, which skips the alignments.
 */
export class Pipeline {
  private readonly pieces = new Map<string, PieceTokens>();
  private readonly pieceIds = new Map<string, readonly number[]>();
  private readonly idPreTokenizer: PreTokenizer | null;
  private readonly idsNeedBytes: boolean;
  private readonly idsNeedAlignment: boolean;
  private output = new IdBuffer();

  constructor(private readonly parts: PipelineParts) {
    const withoutBytes = parts.preTokenizer?.withoutBytes?.() ?? null;
    this.idPreTokenizer = withoutBytes ?? parts.preTokenizer;
    this.idsNeedBytes = withoutBytes !== null;
    this.idsNeedAlignment = parts.preTokenizer?.needsAlignment ?? false;
  }

  /** The tokens of a text. */
  encode(input: string): SequenceTokens {
    const text = wellFormed(input);
    const { preTokenizer } = this.parts;
    const out = emptySequence();
    let word = 0;
    const emit: EmitPiece = (source, start, end) => {
      if (end > start) this.addPiece(out, source, start, end, word++);
    };
    this.forEachSegment(text, true, (source, start, end, id) => {
      if (id >= 0) {
        out.ids.push(id);
        out.tokens.push(source.text.slice(start, end));
        out.starts.push(source.originalStart(start));
        out.ends.push(source.originalEnd(end));
        out.words.push(word++);
      } else if (preTokenizer) {
        preTokenizer.split(source, start, end, emit);
      } else {
        emit(source, start, end);
      }
    });
    return out;
  }

  private addPiece(out: SequenceTokens, source: NormalizedText, start: number, end: number, word: number): void {
    const piece = start === 0 && end === source.text.length ? source.text : source.text.slice(start, end);
    let found = this.pieces.get(piece);
    if (!found) {
      found = this.parts.model.tokenize(piece);
      if (piece.length <= LONGEST_REMEMBERED) {
        if (this.pieces.size >= MOST_REMEMBERED) this.pieces.clear();
        this.pieces.set(ownCopy(piece), found);
      }
    }
    for (let at = 0; at < found.ids.length; at++) {
      const id = found.ids[at];
      out.ids.push(id);
      out.tokens.push(found.surfaces?.get(at) ?? this.parts.model.idToToken(id) ?? "");
      out.starts.push(source.originalStart(start + found.starts[at]));
      out.ends.push(source.originalEnd(start + found.ends[at]));
      out.words.push(word);
    }
  }

  /** Adds the ids of a text to a buffer. */
  encodeIds(input: string, output: IdBuffer): void {
    this.output = output;
    this.forEachSegment(wellFormed(input), this.idsNeedAlignment, (source, start, end, id) => {
      if (id >= 0) output.push(id);
      else if (this.idPreTokenizer) this.idPreTokenizer.split(source, start, end, this.emitIds);
      else if (end > start) this.emitIds(source, start, end);
    });
  }

  private readonly emitIds: EmitPiece = (source, start, end) => {
    const piece = source.text.slice(start, end);
    let ids = this.pieceIds.get(piece);
    if (ids === undefined) {
      ids = this.parts.model.tokenize(this.idsNeedBytes ? toByteCharacters(piece) : piece).ids;
      if (piece.length <= LONGEST_REMEMBERED) {
        if (this.pieceIds.size >= MOST_REMEMBERED) this.pieceIds.clear();
        this.pieceIds.set(ownCopy(piece), ids);
      }
    }
    const { output } = this;
    const { length } = ids;
    output.reserve(length);
    for (let at = 0; at < length; at++) output.ids[output.size + at] = ids[at];
    output.size += length;
  };

  /** Cuts a text at added tokens, normalizing on the way; the id is -1 for what is not an added token. */
  private forEachSegment(
    text: string,
    tracked: boolean,
    visit: (source: NormalizedText, start: number, end: number, id: number) => void,
  ): void {
    const { added, normalizer } = this.parts;
    const visitRest = (from: number, to: number): void => {
      if (to <= from) return;
      const whole = from === 0 && to === text.length;
      const source = new NormalizedText(whole ? text : text.slice(from, to), from, tracked);
      normalizer?.normalize(source);
      const pieces = added.normalized.split(source.text);
      if (!pieces) {
        if (source.text !== "") visit(source, 0, source.text.length, -1);
        return;
      }
      // Each piece is a text of its own: a step may look at what is before and after it.
      for (const { start, end, token } of pieces) {
        if (token) visit(source, start, end, token.id);
        else if (end > start) visitSlice(source, start, end);
      }
    };
    const visitSlice = (source: NormalizedText, start: number, end: number): void => {
      const slice = source.slice(start, end);
      visit(slice, 0, slice.text.length, -1);
    };
    const pieces = added.raw.split(text);
    if (!pieces) {
      visitRest(0, text.length);
      return;
    }
    for (const { start, end, token } of pieces) {
      if (token) visit(new NormalizedText(text.slice(start, end), start, tracked), 0, end - start, token.id);
      else visitRest(start, end);
    }
  }
}
