import { toByteCharacters } from "../byte-alphabet.js";
import type { NormalizedText } from "../normalized-text.js";
import { isFormerNumeric, isLetter, isWhitespace } from "../unicode.js";
import type { EmitPiece, PreTokenizer } from "./pre-tokenizer.js";

const LETTER = 1;
const NUMBER = 2;
const SPACE = 3;
const OTHER = 4;

const basicPlane = new Uint8Array(65536);

function classOf(code: number): number {
  if (code <= 0xffff && basicPlane[code] !== 0) return basicPlane[code];
  const kind = isLetter(code) ? LETTER : isFormerNumeric(code) ? NUMBER : isWhitespace(code) ? SPACE : OTHER;
  if (code <= 0xffff) basicPlane[code] = kind;
  return kind;
}

/** Where the contraction at `unit` (an apostrophe) ends: 's 't 'm 'd 're 've 'll; `unit` where there is none. */
function contractionEnd(text: string, unit: number, end: number): number {
  const first = unit + 1 < end ? text.charCodeAt(unit + 1) : 0;
  if (first === 0x73 || first === 0x74 || first === 0x6d || first === 0x64) return unit + 2;
  const second = unit + 2 < end ? text.charCodeAt(unit + 2) : 0;
  if ((first === 0x72 && second === 0x65) || (first === 0x76 && second === 0x65)) return unit + 3;
  return first === 0x6c && second === 0x6c ? unit + 3 : unit;
}

/**
 * GPT-2's cut: contractions, letters, numbers and everything else in runs with the space before them, and white space.
 */
function splitWords(source: NormalizedText, start: number, end: number, emit: EmitPiece): void {
  const { text } = source;
  let unit = start;
  while (unit < end) {
    const begin = unit;
    const code = text.charCodeAt(unit);
    if (code === 0x27) {
      unit = contractionEnd(text, unit, end);
      if (unit > begin) {
        emit(source, begin, unit);
        continue;
      }
    }
    if (code === 0x20 && unit + 1 < end && kindAt(text, unit + 1) !== SPACE) unit++;
    const kind = kindAt(text, unit);
    unit = runEnd(text, unit, end, kind);
    // A run of white space leaves its last character to what follows.
    if (kind === SPACE && unit < end && unit - begin > 1) unit--;
    emit(source, begin, unit);
  }
}

function kindAt(text: string, unit: number): number {
  const code = text.charCodeAt(unit);
  return code >= 0xd800 && code <= 0xdbff ? classOf(text.codePointAt(unit)!) : basicPlane[code] || classOf(code);
}

function runEnd(text: string, from: number, end: number, kind: number): number {
  let unit = from;
  while (unit < end) {
    const code = text.charCodeAt(unit);
    if (code >= 0xd800 && code <= 0xdbff) {
      const point = text.codePointAt(unit)!;
      if (classOf(point) !== kind) break;
      unit += point > 0xffff ? 2 : 1;
    } else {
      if ((basicPlane[code] || classOf(code)) !== kind) break;
      unit++;
    }
  }
  return unit;
}

/** Options of {@link ByteLevelPreTokenizer}. */
export interface ByteLevelOptions {
  /** Put a space before a text that has none; true by default. */
  addPrefixSpace?: boolean;
  /** Cut the text into words; true by default. */
  useRegex?: boolean;
}

/** `ByteLevel`: cuts as GPT-2 does, and writes each UTF-8 byte as its stand-in character. */
export class ByteLevelPreTokenizer implements PreTokenizer {
  readonly cutsAtSpaces: boolean;
  private readonly addPrefixSpace: boolean;
  private readonly useRegex: boolean;

  constructor(
    options: ByteLevelOptions = {},
    private readonly mapBytes = true,
  ) {
    this.addPrefixSpace = options.addPrefixSpace ?? true;
    this.useRegex = options.useRegex ?? true;
    this.cutsAtSpaces = this.useRegex;
  }

  split(source: NormalizedText, start: number, end: number, emit: EmitPiece): void {
    if (this.addPrefixSpace && source.text.charCodeAt(start) !== 0x20) {
      const prefixed = source.slice(start, end);
      prefixed.prepend(" ");
      this.cut(prefixed, 0, prefixed.text.length, emit);
    } else {
      this.cut(source, start, end, emit);
    }
  }

  private cut(source: NormalizedText, start: number, end: number, emit: EmitPiece): void {
    const target = this.mapBytes ? emitBytes(emit) : emit;
    if (this.useRegex) splitWords(source, start, end, target);
    else target(source, start, end);
  }

  withoutBytes(): PreTokenizer {
    return new ByteLevelPreTokenizer({ addPrefixSpace: this.addPrefixSpace, useRegex: this.useRegex }, false);
  }
}

function emitBytes(emit: EmitPiece): EmitPiece {
  return (source, start, end) => {
    const piece = source.slice(start, end);
    piece.mapCharacters((code) => toByteCharacters(String.fromCodePoint(code)));
    emit(piece, 0, piece.text.length);
  };
}
