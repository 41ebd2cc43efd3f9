import type { NormalizedText } from "../normalized-text.js";
import { isPunctuation, isWhitespace } from "../unicode.js";
import type { EmitPiece, PreTokenizer } from "./pre-tokenizer.js";

const WORD = 1;
const SPACE = 2;
const PUNCTUATION = 3;

const basicPlane = new Uint8Array(65536);

function classOf(code: number): number {
  if (code > 0xffff) return isPunctuation(code) ? PUNCTUATION : WORD;
  let kind = basicPlane[code];
  if (kind === 0) {
    kind = isWhitespace(code) ? SPACE : isPunctuation(code) ? PUNCTUATION : WORD;
    basicPlane[code] = kind;
  }
  return kind;
}

/** `BertPreTokenizer`: words between white space; every punctuation mark by itself. */
export class BertPreTokenizer implements PreTokenizer {
  readonly cutsAtSpaces = true;
  readonly dropsSpaces = true;

  split(source: NormalizedText, start: number, end: number, emit: EmitPiece): void {
    const { text } = source;
    let wordStart = -1;
    for (let unit = start; unit < end; ) {
      let code = text.charCodeAt(unit);
      let next = unit + 1;
      let kind = basicPlane[code];
      if (kind === 0 || (code >= 0xd800 && code <= 0xdbff)) {
        code = text.codePointAt(unit)!;
        if (code > 0xffff) next++;
        kind = classOf(code);
      }
      if (kind === WORD) {
        if (wordStart < 0) wordStart = unit;
      } else {
        if (wordStart >= 0) emit(source, wordStart, unit);
        wordStart = -1;
        if (kind === PUNCTUATION) emit(source, unit, next);
      }
      unit = next;
    }
    if (wordStart >= 0) emit(source, wordStart, end);
  }
}
