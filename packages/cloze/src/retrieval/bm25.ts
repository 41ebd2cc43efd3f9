// BM25 over documents in memory.
import { type AnalyzerOptions, createAnalyzer } from "./lexical/analyzer.js";
import {
  addBm25Scores,
  type Bm25Parameters,
  type CollectionStatistics,
  countTerms,
  lengthNorms,
  type ShareBound,
  shareBounds,
  type WeightedTerms,
  weighTerms,
} from "./lexical/bm25-formula.js";
import { createPostingsBuilder, type MemoryPostings, type PostingsBuilder } from "./lexical/postings.js";
import { type SearchScratch, searchScratch, topDocuments, type WeightedPostings } from "./lexical/top-documents.js";
import type { SearchHit } from "./search-hit.js";

export { splitWords } from "./lexical/split-words.js";

export interface Bm25Options extends Bm25Parameters, AnalyzerOptions {}

const sumOf = (values: Uint32Array): number => {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i];
  return sum;
};

/**
 * An inverted index that scores with BM25 (Lucene's always-positive idf); postings lie in typed arrays.
 *
 * @example
 * const index = new Bm25Index(["a cat", "a dog"], { stemmer: "english" });
 * const [best] = index.search("cats", 10);
 */
export class Bm25Index {
  readonly size: number;
  readonly postings: MemoryPostings;
  readonly statistics: CollectionStatistics;
  readonly #norms: Float32Array;
  readonly #bound: ShareBound;
  readonly #scratch: SearchScratch;
  readonly #options: Bm25Options;
  readonly #analyze: (text: string) => string[];

  /**
   * @param documents texts, gone through once, or what a builder was given (read by the same analyzer); a document for which
   *   `options.keep` says no is never found
   */
  constructor(
    documents: Iterable<string> | PostingsBuilder,
    options: Bm25Options & { keep?: (document: number) => boolean } = {},
  ) {
    this.#options = options;
    this.#analyze = createAnalyzer(options);
    const builder = "finish" in documents ? documents : createPostingsBuilder();
    if (!("finish" in documents)) for (const text of documents) builder.add(this.#analyze(text));
    const { keep } = options;
    this.size = builder.size;
    this.postings = builder.finish(keep);
    let counted = this.size;
    if (keep !== undefined) for (let d = 0; d < this.size; d++) if (!keep(d)) counted--;
    this.statistics = {
      documents: counted,
      terms: sumOf(this.postings.lengths),
      frequency: (term) => this.postings.frequency(term),
    };
    this.#scratch = searchScratch(this.size);
    this.#norms = lengthNorms(this.postings.lengths, this.statistics.terms / Math.max(1, counted), options);
    this.#bound = shareBounds(this.#norms);
  }

  /** The terms of a text, as the index reads it. */
  terms(text: string): string[] {
    return this.#analyze(text);
  }

  #weigh(query: string | WeightedTerms): WeightedPostings[] {
    const terms = typeof query === "string" ? countTerms(this.#analyze(query)) : query;
    return weighTerms(this.postings, terms, this.statistics, this.#bound, this.#options);
  }

  /** The score of every document; a word that the query repeats counts each time. */
  scores(query: string | WeightedTerms): Float32Array {
    const scores = new Float32Array(this.size);
    addBm25Scores(scores, this.#weigh(query), this.#norms);
    return scores;
  }

  /** The `k` best documents that share a word with the query, best first; equal scores in document order. */
  search(query: string | WeightedTerms, k: number): SearchHit[] {
    return topDocuments(this.#weigh(query), this.#norms, k, this.#scratch);
  }
}
