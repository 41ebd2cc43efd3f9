import type { JsonReader } from "../json-reader.js";
import type { NormalizedText } from "../normalized-text.js";
import { isCleanedAway, isIdeograph, isNonspacingMark, isWhitespace, lowerCase, normalizeForm } from "../unicode.js";
import type { Normalizer } from "./normalizer.js";

/** What a {@link BertNormalizer} does. */
export interface BertNormalizerOptions {
  /** Remove control characters and make every white space a space; true by default. */
  cleanText?: boolean;
  /** Put spaces around Chinese ideographs; true by default. */
  handleChineseCharacters?: boolean;
  /** Remove accents; by default, what `lowercase` says. */
  stripAccents?: boolean | null;
  /** Make everything lower case; true by default. */
  lowercase?: boolean;
}

const UNCHANGED = 0;
const onlyPrintableAscii = /^[\x20-\x7e]*$/;
const onlyAscii = /^[\t\n\r\x20-\x7e]*$/;

/** BERT's clean-up: control characters, spaces around ideographs, accents, case. */
export class BertNormalizer implements Normalizer {
  readonly cutsAtSpaces = true;
  private readonly cleanText: boolean;
  private readonly handleChineseCharacters: boolean;
  private readonly stripAccents: boolean;
  private readonly lowercase: boolean;
  /** What each character becomes, filled as characters are met. */
  private readonly known = new Map<number, string | typeof UNCHANGED>();

  constructor(options: BertNormalizerOptions = {}) {
    this.cleanText = options.cleanText ?? true;
    this.handleChineseCharacters = options.handleChineseCharacters ?? true;
    this.lowercase = options.lowercase ?? true;
    this.stripAccents = options.stripAccents ?? this.lowercase;
  }

  normalize(text: NormalizedText): void {
    if (onlyAscii.test(text.text)) {
      let ascii = text.text;
      if (this.cleanText && !onlyPrintableAscii.test(ascii)) ascii = ascii.replace(/[\t\n\r]/g, " ");
      text.replaceInPlace(this.lowercase ? ascii.toLowerCase() : ascii);
      return;
    }
    text.mapCharacters((code) => {
      let becomes = this.known.get(code);
      if (becomes === undefined) {
        const character = String.fromCodePoint(code);
        const mapped = this.map(code, character);
        becomes = mapped === character ? UNCHANGED : mapped;
        this.known.set(code, becomes);
      }
      return becomes === UNCHANGED ? undefined : becomes;
    });
  }

  separates(code: number): boolean {
    if (isWhitespace(code)) return !this.cleanText || !isCleanedAway(code);
    return this.handleChineseCharacters && isIdeograph(code);
  }

  private map(code: number, character: string): string {
    let out = character;
    if (this.cleanText) {
      if (isCleanedAway(code)) return "";
      if (isWhitespace(code)) out = " ";
    }
    if (this.handleChineseCharacters && isIdeograph(code)) out = ` ${out} `;
    if (this.stripAccents) {
      let kept = "";
      for (const part of normalizeForm(out, "NFD")) if (!isNonspacingMark(part.codePointAt(0)!)) kept += part;
      out = kept;
    }
    return this.lowercase ? lowerCase(out) : out;
  }
}

/** Reads `{"type": "BertNormalizer", ...}`. */
export function readBertNormalizer(reader: JsonReader): Normalizer {
  return new BertNormalizer({
    cleanText: reader.boolean("clean_text", true),
    handleChineseCharacters: reader.boolean("handle_chinese_chars", true),
    stripAccents: reader.has("strip_accents") ? reader.boolean("strip_accents") : null,
    lowercase: reader.boolean("lowercase", true),
  });
}
