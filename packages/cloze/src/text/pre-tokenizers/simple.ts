import type { NormalizedText } from "../normalized-text.js";
import type { Pattern } from "../pattern.js";
import { type CharacterSet, isNumeric, isPunctuation, isWhitespace, isWordCharacter } from "../unicode.js";
import { characterMatches, type SplitBehavior, splitByMatches } from "./behavior.js";
import type { EmitPiece, PreTokenizer } from "./pre-tokenizer.js";

/** Cuts by single characters of a set: `WhitespaceSplit`, `Digits`, `Punctuation`, `CharDelimiterSplit`. */
export class CharacterPreTokenizer implements PreTokenizer {
  constructor(
    private readonly isMatch: CharacterSet,
    private readonly behavior: SplitBehavior,
  ) {}

  split(source: NormalizedText, start: number, end: number, emit: EmitPiece): void {
    const matches = characterMatches(source.text.slice(start, end), this.isMatch);
    splitByMatches(source, start, end, matches, this.behavior, emit);
  }
}

/** `WhitespaceSplit`: what stands between white space. */
export class WhitespaceSplitPreTokenizer implements PreTokenizer {
  readonly cutsAtSpaces = true;
  readonly dropsSpaces = true;

  split(source: NormalizedText, start: number, end: number, emit: EmitPiece): void {
    const { text } = source;
    let wordStart = -1;
    for (let unit = start; unit < end; unit++) {
      if (!isWhitespace(text.charCodeAt(unit))) {
        if (wordStart < 0) wordStart = unit;
      } else if (wordStart >= 0) {
        emit(source, wordStart, unit);
        wordStart = -1;
      }
    }
    if (wordStart >= 0) emit(source, wordStart, end);
  }
}

/** `Digits`: numbers apart from the rest, digit by digit or in runs. */
export function digitsPreTokenizer(individualDigits: boolean): PreTokenizer {
  return new CharacterPreTokenizer(isNumeric, individualDigits ? "Isolated" : "Contiguous");
}

/** `Punctuation`: punctuation apart from the rest. */
export function punctuationPreTokenizer(behavior: SplitBehavior): PreTokenizer {
  return new CharacterPreTokenizer(isPunctuation, behavior);
}

/** `Whitespace`: runs of word characters, and runs of whatever is neither word nor white space. */
export class WhitespacePreTokenizer implements PreTokenizer {
  readonly cutsAtSpaces = true;
  readonly dropsSpaces = true;

  split(source: NormalizedText, start: number, end: number, emit: EmitPiece): void {
    const { text } = source;
    let begin = start;
    let current = 0;
    for (let unit = start; unit < end; ) {
      const code = text.codePointAt(unit)!;
      const kind = isWordCharacter(code) ? 1 : isWhitespace(code) ? 0 : 2;
      if (kind !== current) {
        if (current !== 0) emit(source, begin, unit);
        begin = unit;
        current = kind;
      }
      unit += code > 0xffff ? 2 : 1;
    }
    if (current !== 0) emit(source, begin, end);
  }
}

/** `Split`: cuts by a pattern. */
export class SplitPreTokenizer implements PreTokenizer {
  constructor(
    private readonly pattern: Pattern,
    private readonly behavior: SplitBehavior,
    private readonly invert: boolean,
  ) {}

  split(source: NormalizedText, start: number, end: number, emit: EmitPiece): void {
    const text = start === 0 && end === source.text.length ? source.text : source.text.slice(start, end);
    splitByMatches(source, start, end, this.pattern.find(text), this.behavior, emit, this.invert);
  }
}

/** `FixedLength`: pieces of so many characters. */
export class FixedLengthPreTokenizer implements PreTokenizer {
  constructor(private readonly length: number) {}

  split(source: NormalizedText, start: number, end: number, emit: EmitPiece): void {
    let begin = start;
    let count = 0;
    for (let unit = start; unit < end; ) {
      unit += source.text.codePointAt(unit)! > 0xffff ? 2 : 1;
      if (++count === this.length || unit >= end) {
        emit(source, begin, unit);
        begin = unit;
        count = 0;
      }
    }
  }
}

/** `Sequence`: every piece of one pre-tokenizer is cut again by the next. */
export class SequencePreTokenizer implements PreTokenizer {
  readonly needsAlignment: boolean;

  constructor(private readonly steps: readonly PreTokenizer[]) {
    this.needsAlignment = steps.some((step) => step.needsAlignment);
  }

  split(source: NormalizedText, start: number, end: number, emit: EmitPiece): void {
    let chain = emit;
    for (let index = this.steps.length - 1; index >= 0; index--) {
      const step = this.steps[index];
      const next = chain;
      chain = (text, from, to) => step.split(text, from, to, next);
    }
    chain(source, start, end);
  }

  withoutBytes(): PreTokenizer | null {
    const last = this.steps.at(-1)?.withoutBytes?.();
    return last ? new SequencePreTokenizer([...this.steps.slice(0, -1), last]) : null;
  }
}
