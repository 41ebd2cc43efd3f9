// What searching twice needs of an index of words, wherever it lies.
import type { Bm25Index } from "../bm25.js";
import type { DocumentStore } from "../document-store.js";
import type { Ranking } from "../evaluation/ranking.js";
import type { WeightedTerms } from "../lexical/bm25-formula.js";
import { searchedText } from "../store/document.js";
import type { SearchOptions } from "./retriever.js";

/** An index of words that knows the texts of its documents. */
export interface WordIndex {
  /** The terms of a text, as the index reads it. */
  terms(text: string): string[];
  /** The share of all documents that hold each term, 0 to 1. */
  shares(terms: readonly string[]): Promise<ReadonlyMap<string, number>>;
  /** The best documents by BM25. */
  search(query: string | WeightedTerms, options: SearchOptions): Promise<Ranking>;
  /** What is indexed of documents, in the order of their ids; empty for those that are not there. */
  texts(ids: readonly string[]): Promise<string[]>;
}

/**
 * Documents in memory.
 *
 * @param ids of the index's documents
 * @param texts of the index's documents, by their places
 */
export function memoryWordIndex(
  index: Bm25Index,
  ids: readonly string[],
  texts: (document: number) => string,
): WordIndex {
  const { documents, frequency } = index.statistics;
  // Of documents with the same id the last counts.
  let places: Map<string, number> | undefined;
  return {
    terms: (text) => index.terms(text),
    shares: async (terms) => new Map(terms.map((term) => [term, frequency(term) / Math.max(1, documents)])),
    search: async (query, { depth }) =>
      index.search(query, depth).map(({ index: document, score }) => ({ id: ids[document], score })),
    async texts(wanted) {
      places ??= new Map(ids.map((id, place) => [id, place]));
      return wanted.map((id) => {
        const place = places?.get(id);
        return place === undefined ? "" : texts(place);
      });
    },
  };
}

/** Documents in a store, in a folder or in PostgreSQL. */
export const storeWordIndex = (store: DocumentStore): WordIndex => ({
  terms: (text) => store.terms(text),
  async shares(terms) {
    const [size, counts] = [await store.size(), await store.frequencies(terms)];
    return new Map(terms.map((term, i) => [term, counts[i] / Math.max(1, size)]));
  },
  search: (query, options) => store.searchWords(query, options),
  texts: async (ids) =>
    (await store.get(ids)).map((document) => (document === undefined ? "" : searchedText(document))),
});
