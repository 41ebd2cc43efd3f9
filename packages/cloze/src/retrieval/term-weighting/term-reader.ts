// How a weighter reads words: those of its tokenizer, as an analyzer makes terms of them. Queries need nothing else.
import type { Sequence } from "../../data/packed-batch.js";
import type { Tokenizer } from "../../text/index.js";
import { type AnalyzerOptions, createAnalyzer } from "../lexical/analyzer.js";
import { countTerms, type WeightedTerms } from "../lexical/bm25-formula.js";

/** A text as a weighter reads it: its words in order, each with the place of its first piece. */
export interface TextWords extends Sequence {
  readonly terms: readonly string[];
  /** [words] */
  readonly places: Int32Array;
  /** Whether words behind the limit were left out. */
  readonly cut: boolean;
}

export interface TermReader {
  /** The words of a document. @param maxLength tokens that are read */
  words(text: string, maxLength: number): TextWords;
  /** The terms of a query, all of them. */
  terms(query: string): string[];
  /** The terms of a query; one that stands there twice weighs 2. */
  weights(query: string): WeightedTerms;
}

/** Reads words. @throws INDEX_ANALYZER */
export function createTermReader(tokenizer: Tokenizer, options: AnalyzerOptions = {}): TermReader {
  const analyze = createAnalyzer(options);
  function read(text: string, truncation: false | { maxLength: number }): TextWords {
    const { ids, wordIds, offsets, overflowing } = tokenizer.encode(text, { truncation, padding: false });
    const terms: string[] = [];
    const places: number[] = [];
    for (let start = 0; start < ids.length; ) {
      let end = start + 1;
      const word = wordIds[start];
      while (word !== null && end < ids.length && wordIds[end] === word) end++;
      if (word !== null) {
        // What an analyzer makes of one word may be nothing (a stop word, a comma), or several terms of the same weight.
        for (const term of analyze(text.slice(offsets[start][0], offsets[end - 1][1]))) {
          terms.push(term);
          places.push(start);
        }
      }
      start = end;
    }
    return { ids, terms, places: Int32Array.from(places), cut: overflowing.length > 0 };
  }
  const terms = (query: string): string[] => [...read(query, false).terms];
  return { words: (text, maxLength) => read(text, { maxLength }), terms, weights: (query) => countTerms(terms(query)) };
}
