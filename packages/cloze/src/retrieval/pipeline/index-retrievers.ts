// Retrievers over an index on disk.
import type { SearchIndex } from "../store/search-index.js";
import type { Retriever } from "./retriever.js";
import type { TextVectors } from "./text-vectors.js";

/** The words of an index, by BM25. */
export const indexBm25 = (index: SearchIndex): Retriever => ({
  name: "bm25",
  unfound: 0,
  async search(queries, options) {
    return queries.map((query) => index.searchWords(query, options));
  },
});

/** The vectors of an index. @param vectors the model that made them */
export const indexDense = (index: SearchIndex, vectors: TextVectors): Retriever => ({
  name: "dense",
  async search(queries, options) {
    if (queries.length === 0) return [];
    return index.searchVectors(await vectors.embed(queries, "query"), options);
  },
});
