import { toByteCharacters } from "../byte-alphabet.js";
import type { NormalizedText } from "../normalized-text.js";
import type { Pattern } from "../pattern.js";
import { isMark, isWhitespace, lowerCase } from "../unicode.js";
import type { Normalizer } from "./normalizer.js";

const asciiOnly = /^\p{ASCII}*$/u;

/** `Lowercase`: every character by itself. */
export class LowercaseNormalizer implements Normalizer {
  readonly cutsAtSpaces = true;
  normalize(text: NormalizedText): void {
    if (!text.tracked || asciiOnly.test(text.text)) {
      text.replaceInPlace(lowerCase(text.text));
      return;
    }
    text.mapCharacters((code) => {
      const character = String.fromCodePoint(code);
      const lowered = character.toLowerCase();
      return lowered === character ? undefined : lowered;
    });
  }
}

/** `StripAccents`: removes every mark (decompose first, with `NFD` or `NFKD`). */
export class StripAccentsNormalizer implements Normalizer {
  readonly cutsAtSpaces = true;
  normalize(text: NormalizedText): void {
    if (!asciiOnly.test(text.text)) text.mapCharacters((code) => (isMark(code) ? "" : undefined));
  }
}

/** `Strip`: removes white space at the start, the end, or both. */
export class StripNormalizer implements Normalizer {
  constructor(
    private readonly left: boolean,
    private readonly right: boolean,
  ) {}

  normalize(text: NormalizedText): void {
    let start = 0;
    let end = text.text.length;
    if (this.left) while (start < end && isWhitespace(text.text.charCodeAt(start))) start++;
    if (this.right) while (end > start && isWhitespace(text.text.charCodeAt(end - 1))) end--;
    text.trim(start, end);
  }
}

/** `Replace`: every match of a pattern becomes the content. */
export class ReplaceNormalizer implements Normalizer {
  constructor(
    private readonly pattern: Pattern,
    private readonly content: string,
    readonly cutsAtSpaces = false,
  ) {}

  normalize(text: NormalizedText): void {
    text.replaceRanges(this.pattern.find(text.text), this.content);
  }
}

/** `Prepend`: puts a text before any text that is not empty. */
export class PrependNormalizer implements Normalizer {
  constructor(private readonly prefix: string) {}

  normalize(text: NormalizedText): void {
    text.prepend(this.prefix);
  }
}

/** `Append`: puts a text after any text that is not empty. */
export class AppendNormalizer implements Normalizer {
  constructor(private readonly suffix: string) {}

  normalize(text: NormalizedText): void {
    text.append(this.suffix);
  }
}

/** `ByteLevel`: writes every UTF-8 byte as its stand-in character. */
export class ByteLevelNormalizer implements Normalizer {
  normalize(text: NormalizedText): void {
    text.mapCharacters((code) => toByteCharacters(String.fromCodePoint(code)));
  }
}

/** `Nmt`: removes some controls and turns unusual spaces into spaces. */
export class NmtNormalizer implements Normalizer {
  readonly cutsAtSpaces = true;
  normalize(text: NormalizedText): void {
    text.mapCharacters((code) => {
      if (code === 9 || code === 10 || code === 12 || code === 13) return " ";
      if ((code >= 1 && code <= 31) || code === 0x7f || code === 0x8f || code === 0x9f) return "";
      if (code === 0x1680 || (code >= 0x200b && code <= 0x200f) || code === 0x2028 || code === 0x2029) return " ";
      return code === 0x2581 || code === 0xfeff || code === 0xfffd ? " " : undefined;
    });
  }
}

/** `Sequence`: one normalizer after the other. */
export class SequenceNormalizer implements Normalizer {
  readonly cutsAtSpaces: boolean;

  constructor(private readonly normalizers: readonly Normalizer[]) {
    this.cutsAtSpaces = normalizers.every((normalizer) => normalizer.cutsAtSpaces);
  }

  normalize(text: NormalizedText): void {
    for (const normalizer of this.normalizers) normalizer.normalize(text);
  }
}
