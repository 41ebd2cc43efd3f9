import * as tables from "./unicode-tables.js";

/** A set of characters: a test by code point that is one table look-up in the basic plane. */
export type CharacterSet = (codePoint: number) => boolean;

/** The inside of a regular expression class from a list of ranges as `unicode-tables.ts` has them. */
export function classOfRanges(ranges: string): string {
  return ranges
    .split(" ")
    .map((range) =>
      range
        .split("-")
        .map((hexadecimal) => `\\u{${hexadecimal}}`)
        .join("-"),
    )
    .join("");
}

/**
 * Makes a character set from a regular expression class.
 *
 * @param include the inside of a class, such as `\p{P}!-/`.
 * @param exclude the inside of a class of characters to leave out; none by default.
 */
export function characterSet(include: string, exclude = ""): CharacterSet {
  const pattern = new RegExp(exclude === "" ? `^[${include}]$` : `^(?![${exclude}])[${include}]$`, "u");
  let table: Uint8Array | null = null;
  return (codePoint) => {
    if (codePoint > 0xffff) return pattern.test(String.fromCodePoint(codePoint));
    table ??= new Uint8Array(65536);
    const known = table[codePoint];
    if (known !== 0) return known === 2;
    const found = pattern.test(String.fromCharCode(codePoint));
    table[codePoint] = found ? 2 : 1;
    return found;
  };
}

/** Unicode White_Space (tab, line feed, no-break space, ideographic space, and so on; not U+FEFF). */
export const isWhitespace = characterSet("\\p{White_Space}");

/** Whether a unit is white space, or not there (NaN). */
export function isSpace(unit: number): boolean {
  return unit <= 0x20
    ? unit === 0x20 || (unit >= 9 && unit <= 13)
    : !(unit >= 0) || (unit >= 0x80 && isWhitespace(unit));
}

/** Characters of numbers: decimal digits, letters such as Ⅷ, fractions such as ½. */
export const isNumeric = characterSet("\\p{N}");

/** ASCII punctuation and symbols, and Unicode punctuation as BERT vocabularies know it. */
export const isPunctuation = characterSet(
  `\\p{P}!-\\/:-@\\[-\`\\{-~${classOfRanges(tables.FORMER_PUNCTUATION)}`,
  classOfRanges(tables.YOUNGER_PUNCTUATION),
);

/** What BERT's cleaning removes: NUL, U+FFFD, controls, formats and private use, other than tab and line ends. */
export const isCleanedAway = characterSet(
  "\\p{Cc}\\p{Cf}\\p{Co}\\ufffd",
  `\\t\\n\\r${classOfRanges(tables.YOUNGER_CONTROLS)}`,
);

/** The non-spacing marks that BERT's accent stripping removes. */
export const isNonspacingMark = characterSet(
  `\\p{Mn}${classOfRanges(tables.FORMER_NONSPACING_MARKS)}`,
  classOfRanges(tables.YOUNGER_NONSPACING_MARKS),
);

/** The marks that the `StripAccents` normalizer removes. */
export const isMark = characterSet(`\\p{M}${classOfRanges(tables.FORMER_MARKS)}`, classOfRanges(tables.YOUNGER_MARKS));

/** Letters, marks, decimal digits, connectors and joiners: `\w` of the common regular expression engines. */
export const isWordCharacter = characterSet(
  "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}",
  classOfRanges(tables.YOUNGER_CHARACTERS),
);

/** Letters, as the cuts of byte-level vocabularies know them. */
export const isLetter = characterSet("\\p{L}", classOfRanges(tables.YOUNGER_CHARACTERS));

/** Characters of numbers, as the cuts of byte-level vocabularies know them. */
export const isFormerNumeric = characterSet("\\p{N}", classOfRanges(tables.YOUNGER_CHARACTERS));

/** The ideographs that BERT sets apart with spaces. */
export function isIdeograph(codePoint: number): boolean {
  return (
    codePoint >= 0x3400 &&
    (codePoint <= 0x4dbf ||
      (codePoint >= 0x4e00 && codePoint <= 0x9fff) ||
      (codePoint >= 0xf900 && codePoint <= 0xfaff) ||
      (codePoint >= 0x20000 && codePoint <= 0x2a6df) ||
      (codePoint >= 0x2a700 && codePoint <= 0x2b73f) ||
      (codePoint >= 0x2b740 && codePoint <= 0x2b81f) ||
      (codePoint >= 0x2b920 && codePoint <= 0x2ceaf) ||
      (codePoint >= 0x2f800 && codePoint <= 0x2fa1f))
  );
}

/** A Unicode normalization form. */
export type UnicodeForm = "NFC" | "NFD" | "NFKC" | "NFKD";

const younger = new RegExp(`[${classOfRanges(tables.YOUNGER_DECOMPOSITIONS)}]`, "u");
const youngerSplit = new RegExp(`([${classOfRanges(tables.YOUNGER_DECOMPOSITIONS)}])`, "u");

/** Applies a normalization form, leaving characters alone that have had a decomposition only recently. */
export function normalizeForm(text: string, form: UnicodeForm): string {
  if (!younger.test(text)) return text.normalize(form);
  return text
    .split(youngerSplit)
    .map((part, index) => (index % 2 === 1 ? part : part.normalize(form)))
    .join("");
}

/** Lower-cases each character by itself (a final sigma is not special). */
export function lowerCase(text: string): string {
  if (!text.includes("\u03a3")) return text.toLowerCase();
  let lowered = "";
  for (const character of text) lowered += character.toLowerCase();
  return lowered;
}

const surrogatePattern = /[\ud800-\udfff]/;

/** Whether a text has characters outside the basic plane (or lone surrogates). */
export function hasSurrogates(text: string): boolean {
  return surrogatePattern.test(text);
}

/** The text with every lone surrogate replaced by U+FFFD; its length does not change. */
export function wellFormed(text: string): string {
  return surrogatePattern.test(text) ? (text as string & { toWellFormed(): string }).toWellFormed() : text;
}

/** For each UTF-16 offset of a text, from 0 to its length, the number of code points before it. */
export function codePointIndex(text: string): Int32Array {
  const index = new Int32Array(text.length + 1);
  let count = 0;
  for (let unit = 0; unit < text.length; unit++) {
    index[unit] = count;
    const code = text.charCodeAt(unit);
    if (!(code >= 0xd800 && code <= 0xdbff)) count++;
  }
  index[text.length] = count;
  return index;
}
