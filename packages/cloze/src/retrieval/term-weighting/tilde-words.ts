// Words that TILDE adds to documents when they are indexed.
import { createAnalyzer } from "../lexical/analyzer.js";
import { type TildeText, tildeExpansion, tildeTexts } from "./tilde.js";
import type { Tilde } from "./tilde-folder.js";

/** Texts that are read at once, enough to batch by length: each takes a float for every token of the vocabulary. */
const group = 256;

/**
 * The likeliest words of each text's queries that the text lacks, with blanks between them: tokens that are whole words, no stop
 * words.
 *
 * @example
 * const tilde = loadTilde("tilde");
 * tildeWords(tilde, ["The stoat is a small animal."]); // ["weasel size habitat …"]
 */
export function tildeWords(tilde: Tilde, texts: readonly string[]): string[] {
  const { model, tokenizer, settings } = tilde;
  const { maxLength, expansionTerms } = settings;
  const analyze = createAnalyzer({ stopWords: "english" });
  const words = new Map<number, string | undefined>();
  /** The word that a token is alone; undefined for pieces of words, marks and stop words. */
  const wordOf = (id: number): string | undefined => {
    if (!words.has(id)) {
      const word = tokenizer.decode([id]).trim();
      const [again, ...more] = tokenizer.encodeIds(word, { addSpecialTokens: false, truncation: false });
      const [term, ...others] = analyze(word);
      const whole = again === id && more.length === 0 && term !== undefined && others.length === 0;
      words.set(id, whole ? word : undefined);
    }
    return words.get(id);
  };
  const keep = (id: number) => !tokenizer.specialIds.has(id) && wordOf(id) !== undefined;
  const expand = (text: TildeText) => tildeExpansion(text, { top: expansionTerms, keep });
  const result: string[] = [];
  for (let start = 0; start < texts.length; start += group) {
    const read = tildeTexts(model, tokenizer, texts.slice(start, start + group), { maxLength });
    result.push(...read.map((text) => expand(text).map(wordOf).join(" ")));
  }
  return result;
}
