import type { NormalizedText } from "../normalized-text.js";
import { classOfRanges } from "../unicode.js";
import { YOUNGER_SCRIPTS } from "../unicode-tables.js";
import type { EmitPiece, PreTokenizer } from "./pre-tokenizer.js";

// The scripts of living texts first: a character is looked up in this order, and remembered.
const SCRIPTS =
  "Latin Common Han Hiragana Katakana Cyrillic Arabic Devanagari Hangul Greek Hebrew Thai Inherited Bengali Tamil " +
  "Telugu Gujarati Gurmukhi Kannada Malayalam Oriya Sinhala Armenian Georgian Ethiopic Khmer Lao Myanmar Tibetan " +
  "Mongolian Cherokee Canadian_Aboriginal Syriac Thaana Nko Bopomofo Yi Javanese Balinese Sundanese Tifinagh Coptic " +
  "Gothic Runic Ogham Braille Deseret Tagalog Hanunoo Buhid Tagbanwa Limbu Tai_Le New_Tai_Lue Buginese Glagolitic " +
  "Syloti_Nagri Cham Lepcha Ol_Chiki Vai Saurashtra Kayah_Li Rejang Tai_Tham Tai_Viet Samaritan Lisu Bamum " +
  "Meetei_Mayek Mandaic Batak Old_Italic Linear_B Ugaritic Shavian Osmanya Cypriot Old_Persian Kharoshthi Cuneiform " +
  "Phoenician Phags_Pa Lycian Carian Lydian Avestan Egyptian_Hieroglyphs Imperial_Aramaic Old_South_Arabian " +
  "Inscriptional_Parthian Inscriptional_Pahlavi Old_Turkic Kaithi Brahmi Chakma Meroitic_Cursive " +
  "Meroitic_Hieroglyphs Miao Sharada Sora_Sompeng Takri Caucasian_Albanian Bassa_Vah Duployan Elbasan Grantha " +
  "Pahawh_Hmong Khojki Linear_A Mahajani Manichaean Mende_Kikakui Modi Mro Old_North_Arabian Nabataean Palmyrene " +
  "Pau_Cin_Hau Old_Permic Psalter_Pahlavi Siddham Khudawadi Tirhuta Warang_Citi Ahom Anatolian_Hieroglyphs Hatran " +
  "Multani Old_Hungarian SignWriting Adlam Bhaiksuki Marchen Newa Osage Tangut";

/** What a space, and a character of no script, has: it goes with what is before it. */
const NONE = "";

const patterns: [string, RegExp][] = SCRIPTS.split(" ").map((name) => [name, new RegExp(`\\p{Script=${name}}`, "u")]);
const younger = new RegExp(`[ ${classOfRanges(YOUNGER_SCRIPTS)}]`, "u");
/** Signs whose script has changed since. */
const former = new Map([
  [0x589, "Common"],
  [0x61c, "Common"],
  [0x953, "Devanagari"],
  [0x954, "Devanagari"],
  // Japanese is one script here.
  [0x30fc, "Han"],
]);
const known = new Map<number, string>();

function scriptOf(code: number): string {
  let script = known.get(code);
  if (script === undefined) {
    const character = String.fromCodePoint(code);
    script = former.get(code);
    if (script === undefined) {
      const found = younger.test(character) ? NONE : patterns.find(([, pattern]) => pattern.test(character))?.[0];
      script = found === "Hiragana" || found === "Katakana" ? "Han" : (found ?? NONE);
    }
    known.set(code, script);
  }
  return script;
}

/**
 * `UnicodeScripts`: cuts where the script changes. Spaces go with what is before them; before the first character with
 * a script they are left out.
 */
export class UnicodeScriptsPreTokenizer implements PreTokenizer {
  split(source: NormalizedText, start: number, end: number, emit: EmitPiece): void {
    let begin = -1;
    let current = NONE;
    for (let unit = start; unit < end; ) {
      const code = source.text.codePointAt(unit)!;
      const script = scriptOf(code);
      if (script !== NONE && script !== current) {
        if (begin >= 0) emit(source, begin, unit);
        begin = unit;
        current = script;
      }
      unit += code > 0xffff ? 2 : 1;
    }
    if (begin >= 0) emit(source, begin, end);
  }
}
