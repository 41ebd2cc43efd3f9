// What an index makes of a text: words, perhaps without the commonest, perhaps stemmed.
import { ClozeError } from "../../errors.js";
import { porterStem } from "./porter-stemmer.js";
import { splitWords } from "./split-words.js";

/** How texts become the terms of an index. Kept with the index: queries must be read the same way. */
export interface AnalyzerOptions {
  /** "english": Porter's stems. Default: words as they are. */
  stemmer?: "none" | "english";
  /** "english": the 33 commonest words are left out. Default: none are. */
  stopWords?: "none" | "english";
}

export type Analyzer = (text: string) => string[];

/** Lucene's list for English. */
const englishStopWords = new Set(
  "a an and are as at be but by for if in into is it no not of on or such that the their then there these they this to was will with".split(
    " ",
  ),
);

const largestCache = 1 << 18;

/**
 * The analyzer of some options.
 *
 * @throws INDEX_ANALYZER for options that are not known
 * @example
 * createAnalyzer({ stemmer: "english" })("Cats running"); // ["cat", "run"]
 */
export function createAnalyzer({ stemmer = "none", stopWords = "none" }: AnalyzerOptions = {}): Analyzer {
  for (const [name, value] of Object.entries({ stemmer, stopWords })) {
    if (value === "none" || value === "english") continue;
    throw new ClozeError("INDEX_ANALYZER", `There is no ${name} of this name`, {
      expected: "none, english",
      received: String(value),
    });
  }
  const stems = new Map<string, string>();
  const stemOf = (word: string): string => {
    const known = stems.get(word);
    if (known !== undefined) return known;
    const stem = porterStem(word);
    if (stems.size >= largestCache) stems.clear();
    stems.set(word, stem);
    return stem;
  };
  return (text) => {
    let words = splitWords(text);
    if (stopWords === "english") words = words.filter((word) => !englishStopWords.has(word));
    return stemmer === "english" ? words.map(stemOf) : words;
  };
}
