// BM25 with RM3 over an index on disk.
import { searchedText } from "../store/document.js";
import type { SearchIndex } from "../store/search-index.js";
import type { Retriever } from "./retriever.js";
import { type Rm3Options, rm3Terms } from "./rm3.js";

/** Searches twice: once to find terms, once with them. */
export const indexRm3 = (index: SearchIndex, options: Rm3Options = {}): Retriever => ({
  name: "bm25+rm3",
  unfound: 0,
  async search(queries, search) {
    return queries.map((query) => {
      const terms = index.terms(query);
      const found = index.searchWords(query, { ...search, depth: options.feedbackDocuments ?? 10 });
      const documents = found.map(({ id, score }) => {
        const document = index.get(id);
        return { score, terms: document === undefined ? [] : index.terms(searchedText(document)) };
      });
      const shareOf = (term: string) => index.frequency(term) / Math.max(1, index.size);
      return index.searchWords(rm3Terms(terms, documents, shareOf, options), search);
    });
  },
});
