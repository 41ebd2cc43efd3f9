import type { AddedVocabulary } from "./added-tokens.js";
import { emptySequence, type SequenceTokens } from "./encoding.js";
import { ownCopy, wholeOf } from "./id-encoder.js";
import type { Model, PieceTokens } from "./models/model.js";
import { NormalizedText } from "./normalized-text.js";
import type { Normalizer } from "./normalizers/normalizer.js";
import type { EmitPiece, PreTokenizer } from "./pre-tokenizers/pre-tokenizer.js";
import type { Steps } from "./steps.js";
import { blockLength, type TextCuts, textCuts } from "./text-cuts.js";
import { wellFormed } from "./unicode.js";

/** The steps from a text to its tokens, without special tokens around them. */
export interface PipelineParts {
  readonly normalizer: Normalizer | null;
  readonly preTokenizer: PreTokenizer | null;
  readonly model: Model;
  readonly added: AddedVocabulary;
}

/** Receives an added token (its id), or a text between two (-1): units `start` to `end` of a source. */
type VisitSegment = (source: NormalizedText, start: number, end: number, id: number) => void;

/** Pieces longer than this are seldom seen again. */
const LONGEST_REMEMBERED = 48;
const MOST_REMEMBERED = 1 << 17;

/** Runs texts through the steps of a tokenizer, with everything that is known about each token. */
export class Pipeline {
  private readonly pieces = new Map<string, PieceTokens>();

  private readonly cuts: TextCuts | undefined;

  constructor(private readonly parts: PipelineParts) {
    this.cuts = textCuts(parts);
  }

  /** The tokens of a text. */
  encode(input: string): SequenceTokens {
    const out = emptySequence();
    this.forEachSegment(wellFormed(input), this.writer(out));
    return out;
  }

  /** The same in steps of some thousand characters, where the parts let a text be cut. */
  *encodeSteps(input: string): Steps<SequenceTokens> {
    const text = wellFormed(input);
    const out = emptySequence();
    const visit = this.writer(out);
    let since = 0;
    for (const { start, end, token } of this.parts.added.raw.split(text) ?? [wholeOf(text)]) {
      if (token) visit(new NormalizedText(text.slice(start, end), start), 0, end - start, token.id);
      else if (end > start) yield* this.rangeSteps(text, start, end, visit);
      if (end - since < blockLength) continue;
      since = end;
      yield;
    }
    return out;
  }

  private *rangeSteps(text: string, start: number, end: number, visit: VisitSegment): Steps<void> {
    const { cuts } = this;
    let from = start;
    let at = cuts?.after(text, from, end) ?? end;
    let source = this.normalized(text, from, at);
    while (at < end && cuts !== undefined) {
      const next = cuts.after(text, at, end);
      const following = this.normalized(text, at, next);
      // Where normalizing undid a cut, the rest is read as a whole.
      if (!cuts.holds(source.text, following.text)) {
        this.visitNormalized(this.normalized(text, from, end), visit);
        return;
      }
      this.visitNormalized(source, visit);
      yield;
      [from, at, source] = [at, next, following];
    }
    this.visitNormalized(source, visit);
  }

  /** Adds the tokens of segments, and counts their words. */
  private writer(out: SequenceTokens): VisitSegment {
    const { preTokenizer } = this.parts;
    let word = 0;
    const emit: EmitPiece = (source, start, end) => {
      if (end > start) this.addPiece(out, source, start, end, word++);
    };
    return (source, start, end, id) => {
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
    };
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

  /** Cuts a text at added tokens, normalizing on the way; the id is -1 for what is not an added token. */
  private forEachSegment(text: string, visit: VisitSegment): void {
    for (const { start, end, token } of this.parts.added.raw.split(text) ?? [wholeOf(text)]) {
      if (token) visit(new NormalizedText(text.slice(start, end), start), 0, end - start, token.id);
      else if (end > start) this.visitNormalized(this.normalized(text, start, end), visit);
    }
  }

  private normalized(text: string, from: number, to: number): NormalizedText {
    const whole = from === 0 && to === text.length;
    const source = new NormalizedText(whole ? text : text.slice(from, to), from);
    this.parts.normalizer?.normalize(source);
    return source;
  }

  private visitNormalized(source: NormalizedText, visit: VisitSegment): void {
    const pieces = this.parts.added.normalized.split(source.text);
    if (!pieces) {
      if (source.text !== "") visit(source, 0, source.text.length, -1);
      return;
    }
    // Each piece is a text of its own: a step may look at what is before and after it.
    for (const { start, end, token } of pieces) {
      if (token) visit(source, start, end, token.id);
      else if (end > start) {
        const slice = source.slice(start, end);
        visit(slice, 0, slice.text.length, -1);
      }
    }
  }
}
