import type { PipelineParts } from "./pipeline.js";
import { isSpace } from "./unicode.js";

/** Characters of a block: a few milliseconds of work. */
export const blockLength = 4096;

/** Where a text may be cut, so that its parts are read as they are in the whole. */
export interface TextCuts {
  /** The first good place more than a block behind `from`; `end` where there is none. */
  after(text: string, from: number, end: number): number;
  /** Every cut holds. */
  readonly anyway: boolean;
  /** Whether a cut holds, seen what normalizing made of both sides. */
  holds(before: string, behind: string): boolean;
}

function placesOf(isPlace: (text: string, unit: number, end: number) => boolean): TextCuts["after"] {
  return (text, from, end) => {
    let unit = from + blockLength;
    while (unit < end && !isPlace(text, unit, end)) unit++;
    return Math.min(unit, end);
  };
}

/** A single space, with no other white space beside it. */
const isSingleSpace = (text: string, unit: number, end: number): boolean =>
  text.charCodeAt(unit) === 0x20 &&
  !isSpace(text.charCodeAt(unit - 1)) &&
  unit + 1 < end &&
  !isSpace(text.charCodeAt(unit + 1));

/** Whether the steps of a tokenizer let a text be cut before single spaces. */
export const cutsAtSpaces = ({ normalizer, preTokenizer, added }: PipelineParts): boolean =>
  (normalizer?.cutsAtSpaces ?? normalizer === null) &&
  preTokenizer?.cutsAtSpaces === true &&
  preTokenizer.needsAlignment !== true &&
  added.normalized.isEmpty;

/** Where the steps of a tokenizer let a text be cut that has no added token in it; undefined: nowhere. */
export function textCuts(parts: PipelineParts): TextCuts | undefined {
  const { normalizer, preTokenizer } = parts;
  const separates = normalizer?.separates?.bind(normalizer);
  if (separates !== undefined && preTokenizer?.dropsSpaces === true && parts.added.normalized.isEmpty) {
    return { after: placesOf((text, unit) => separates(text.charCodeAt(unit))), anyway: true, holds: () => true };
  }
  if (!cutsAtSpaces(parts)) return undefined;
  return {
    after: placesOf(isSingleSpace),
    anyway: false,
    holds: (before, behind) =>
      !isSpace(before.charCodeAt(before.length - 1)) && behind.charCodeAt(0) === 0x20 && !isSpace(behind.charCodeAt(1)),
  };
}
