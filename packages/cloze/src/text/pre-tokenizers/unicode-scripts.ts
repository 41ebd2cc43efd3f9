import type { NormalizedText } from "../normalized-text.js";
import type { EmitPiece, PreTokenizer } from "./pre-tokenizer.js";

// The scripts of living texts first: a character is looked up in this order, and remembered.
const SCRIPTS =
  "Latin Han Hiragana Katakana Cyrillic Arabic Devanagari Hangul Greek Hebrew Thai Bengali Tamil Telugu Gujarati " +
  "Gurmukhi Kannada Malayalam Oriya Sinhala Armenian Georgian Ethiopic Khmer Lao Myanmar Tibetan Mongolian Cherokee " +
  "Canadian_Aboriginal Syriac Thaana Nko Bopomofo Yi Javanese Balinese Sundanese Tifinagh Coptic Gothic Runic Ogham " +
  "Braille Deseret Tagalog Hanunoo Buhid Tagbanwa Limbu Tai_Le New_Tai_Lue Buginese Glagolitic Syloti_Nagri Cham " +
  "Lepcha Ol_Chiki Vai Saurashtra Kayah_Li Rejang Tai_Tham Tai_Viet Samaritan Lisu Bamum Meetei_Mayek Mandaic Batak";

const patterns: [string, RegExp][] = SCRIPTS.split(" ").map((name) => [name, new RegExp(`\\p{Script=${name}}`, "u")]);
const neutral = /[\p{Script=Inherited} ]/u;
const known = new Map<number, string>();

function scriptOf(code: number): string {
  let script = known.get(code);
  if (script === undefined) {
    const character = String.fromCodePoint(code);
    script = neutral.test(character) ? "" : (patterns.find(([, pattern]) => pattern.test(character))?.[0] ?? "Common");
    // Japanese is one script here.
    if (script === "Hiragana" || script === "Katakana" || code === 0x30fc) script = "Han";
    known.set(code, script);
  }
  return script;
}

/** `UnicodeScripts`: cuts where the script changes; spaces and inherited marks go with what is before them. */
export class UnicodeScriptsPreTokenizer implements PreTokenizer {
  split(source: NormalizedText, start: number, end: number, emit: EmitPiece): void {
    let begin = start;
    let current = "";
    for (let unit = start; unit < end; ) {
      const code = source.text.codePointAt(unit)!;
      const script = scriptOf(code);
      if (script !== "" && current !== "" && script !== current) {
        emit(source, begin, unit);
        begin = unit;
      }
      if (script !== "") current = script;
      unit += code > 0xffff ? 2 : 1;
    }
    if (end > begin) emit(source, begin, end);
  }
}
