import type { AddedVocabulary } from "./added-tokens.js";
import { emptySequence, type SequenceTokens } from "./encoding.js";
import { ownCopy } from "./id-encoder.js";
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

/** Runs texts through the steps of a tokenizer, with everything that is known about each token. */
export class Pipeline {
  private readonly pieces = new Map<string, PieceTokens>();

  constructor(private readonly parts: PipelineParts) {}

  /** The tokens of a text. */
  encode(input: string): SequenceTokens {
    const text = wellFormed(input);
    const { preTokenizer } = this.parts;
    const out = emptySequence();
    let word = 0;
    const emit: EmitPiece = (source, start, end) => {
      if (end > start) this.addPiece(out, source, start, end, word++);
    };
    this.forEachSegment(text, (source, start, end, id) => {
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

  /** Cuts a text at added tokens, normalizing on the way; the id is -1 for what is not an added token. */
  private forEachSegment(
    text: string,
    visit: (source: NormalizedText, start: number, end: number, id: number) => void,
  ): void {
    const { added, normalizer } = this.parts;
    const visitRest = (from: number, to: number): void => {
      if (to <= from) return;
      const whole = from === 0 && to === text.length;
      const source = new NormalizedText(whole ? text : text.slice(from, to), from);
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
      if (token) visit(new NormalizedText(text.slice(start, end), start), 0, end - start, token.id);
      else visitRest(start, end);
    }
  }
}
