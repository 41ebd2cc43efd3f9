// One interface over the embedded index and over PostgreSQL, so that what was written for one runs on the other.
import type { DataWarning } from "../data/readers/warnings.js";
import type { Ranking } from "./evaluation/ranking.js";
import type { TermWeights } from "./learned-sparse/term-weights.js";
import type { AnalyzerOptions } from "./lexical/analyzer.js";
import type { Bm25Parameters, WeightedTerms } from "./lexical/bm25-formula.js";
import type { IndexSearchOptions, SearchIndex } from "./store/contract.js";
import type { EncodedDocuments, IndexedDocument } from "./store/document.js";
import type { TokenFacts, VectorFacts, WeightFacts } from "./store/manifest.js";
import type { TokenSearchOptions } from "./store/token-search.js";

/**
 * Documents that are searched by words and by vectors. Results of the two kinds of stores are the same; token vectors are kept
 * by the embedded one alone.
 */
export interface DocumentStore {
  readonly settings: {
    readonly analyzer: Required<AnalyzerOptions>;
    readonly bm25: Required<Bm25Parameters>;
    /** Absent: words only. */
    readonly vectors?: VectorFacts;
    /** Absent: no learned weights of terms. */
    readonly weights?: WeightFacts;
    /** Absent: no token vectors, as always in PostgreSQL. */
    readonly tokens?: TokenFacts;
  };
  warnings(): readonly DataWarning[];
  /** Documents that can be found. */
  size(): Promise<number>;
  /** Those of some ids that are there. */
  has(ids: readonly string[]): Promise<Set<string>>;
  /** Documents by their ids, in that order; undefined for those that are not there. */
  get(ids: readonly string[]): Promise<(IndexedDocument | undefined)[]>;
  /** Adds documents, all or none; one whose id is there replaces it. They are durable when the promise is kept. */
  add(documents: readonly IndexedDocument[], encoded?: EncodedDocuments): Promise<void>;
  /** @returns how many were there */
  remove(ids: readonly string[]): Promise<number>;
  /** The terms of a text, as this index reads it. */
  terms(text: string): string[];
  /** Documents that can be found and hold each of some terms. */
  frequencies(terms: readonly string[]): Promise<number[]>;
  /** The best documents by BM25. */
  searchWords(query: string | WeightedTerms, options: IndexSearchOptions): Promise<Ranking>;
  searchVectors(queries: Float32Array, options: IndexSearchOptions): Promise<Ranking[]>;
  searchWeights(queries: readonly TermWeights[], options: IndexSearchOptions): Promise<Ranking[]>;
  /** @throws INDEX_NO_TOKENS, always in PostgreSQL */
  searchTokens(queries: readonly Float32Array[], options: TokenSearchOptions): Promise<Ranking[]>;
  /** Gives back the space of what was replaced or removed. */
  compact(): Promise<void>;
  close(): Promise<void>;
}

/** The embedded index as a store. */
export const embeddedStore = (index: SearchIndex): DocumentStore => ({
  settings: index.settings,
  warnings: () => index.warnings.list(),
  size: async () => index.size,
  has: async (ids) => new Set(ids.filter((id) => index.has(id))),
  get: async (ids) => ids.map((id) => index.get(id)),
  add: async (documents, encoded) => index.add(documents, encoded),
  remove: async (ids) => index.remove(ids),
  terms: (text) => index.terms(text),
  frequencies: async (terms) => terms.map((term) => index.frequency(term)),
  searchWords: async (query, options) => index.searchWords(query, options),
  searchVectors: async (queries, options) => index.searchVectors(queries, options),
  searchWeights: async (queries, options) => index.searchWeights(queries, options),
  searchTokens: async (queries, options) => index.searchTokens(queries, options),
  compact: async () => index.compact(),
  close: async () => index.close(),
});
