// What an index of documents can be asked, and told.
import type { DataWarnings } from "../../data/readers/warnings.js";
import type { Ranking } from "../evaluation/ranking.js";
import type { TermWeights } from "../learned-sparse/term-weights.js";
import type { WeightedTerms } from "../lexical/bm25-formula.js";
import type { EncodedDocuments, IndexedDocument } from "./document.js";
import type { Filter } from "./filter.js";
import type { Manifest } from "./manifest.js";
import type { TokenSearchOptions } from "./token-search.js";

export interface IndexSearchOptions {
  /** Documents at most. */
  readonly depth: number;
  readonly filter?: Filter;
}

export interface SearchIndex {
  readonly folder: string;
  /** Documents that can be found. */
  readonly size: number;
  readonly settings: Readonly<Pick<Manifest, "analyzer" | "bm25" | "vectors" | "weights" | "tokens">>;
  readonly segments: number;
  /** What was odd when it was opened, and since. */
  readonly warnings: DataWarnings;
  has(id: string): boolean;
  get(id: string): IndexedDocument | undefined;
  /**
   * Adds documents; when it returns they are on the disk. One whose id is there replaces it. The first that have tokens are
   * what the codec of all that come is learned from (at most 100,000 tokens): let them be many, and like the rest.
   *
   * @param encoded what the index keeps of them
   * @throws INDEX_READ_ONLY, INDEX_VECTOR, INDEX_WIDTH, DISK_FULL, FILE_WRITE; then none of them is in the index
   */
  add(documents: readonly IndexedDocument[], encoded?: EncodedDocuments): void;
  /** Removes documents; those that are not there are passed over. @returns how many were there */
  remove(ids: readonly string[]): number;
  /** The terms of a text, as this index reads it. */
  terms(text: string): string[];
  /** Documents that can be found and hold a term. */
  frequency(term: string): number;
  /** The best documents by BM25. */
  searchWords(query: string | WeightedTerms, options: IndexSearchOptions): Ranking;
  /** The same; others are let in between segments. Nothing may be changed, nor the index closed, before it is done. */
  searchWordsAsync(query: string | WeightedTerms, options: IndexSearchOptions): Promise<Ranking>;
  /** The best documents by inner product, for each query. queries: [count, width] @throws INDEX_WIDTH, INDEX_NO_VECTORS */
  searchVectors(queries: Float32Array, options: IndexSearchOptions): Ranking[];
  /** The same on other threads. Nothing may be changed, nor the index closed, before it is done. */
  searchVectorsAsync(queries: Float32Array, options: IndexSearchOptions): Promise<Ranking[]>;
  /** The best documents by inner product of weights, for each query. @throws INDEX_NO_WEIGHTS, INDEX_TERMS */
  searchWeights(queries: readonly TermWeights[], options: IndexSearchOptions): Ranking[];
  /** The same for one query, as `searchWordsAsync`. */
  searchWeightsAsync(query: TermWeights, options: IndexSearchOptions): Promise<Ranking>;
  /**
   * The best documents by late interaction (ColBERT), for each query.
   *
   * @param queries vectors of each query's tokens: [tokens, width]
   * @throws INDEX_NO_TOKENS, INDEX_WIDTH, INDEX_VECTOR
   */
  searchTokens(queries: readonly Float32Array[], options: TokenSearchOptions): Ranking[];
  /** Every document that can be found, in the order in which they were added. */
  documents(): Generator<IndexedDocument>;
  /** Rewrites everything without what was replaced or deleted. */
  compact(): void;
  close(): void;
}
