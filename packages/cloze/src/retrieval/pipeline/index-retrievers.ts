// Retrievers over an index on disk, or in PostgreSQL.
import type { Ranking } from "../evaluation/ranking.js";
import type { LateSearchOptions } from "../late-interaction/late-search.js";
import type { SparseVector } from "../learned-sparse/impact-index.js";
import type { TermWeights } from "../learned-sparse/term-weights.js";
import type { IndexSearchOptions } from "../store/contract.js";
import type { TokenSearchOptions } from "../store/token-search.js";
import type { TermReader } from "../term-weighting/term-reader.js";
import type { Retriever } from "./retriever.js";
import type { TextVectors } from "./text-vectors.js";

/** A SearchIndex, or a DocumentStore. */
export interface Searchable {
  searchWords(query: string, options: IndexSearchOptions): Ranking | Promise<Ranking>;
  searchVectors(queries: Float32Array, options: IndexSearchOptions): Ranking[] | Promise<Ranking[]>;
  searchWeights(queries: readonly TermWeights[], options: IndexSearchOptions): Ranking[] | Promise<Ranking[]>;
  searchTokens(queries: readonly Float32Array[], options: TokenSearchOptions): Ranking[] | Promise<Ranking[]>;
}

/** The words of an index, by BM25. */
export const indexBm25 = (index: Pick<Searchable, "searchWords">): Retriever => ({
  name: "bm25",
  unfound: 0,
  async search(queries, options) {
    const rankings: Ranking[] = [];
    for (const query of queries) rankings.push(await index.searchWords(query, options));
    return rankings;
  },
});

/** The vectors of an index. @param vectors the model that made them */
export const indexDense = (index: Pick<Searchable, "searchVectors">, vectors: TextVectors): Retriever => ({
  name: "dense",
  async search(queries, options) {
    if (queries.length === 0) return [];
    return index.searchVectors(await vectors.embed(queries, "query"), options);
  },
});

/** The learned weights of an index. @param encode the model that made them, for queries */
export const indexSparse = (
  index: Pick<Searchable, "searchWeights">,
  encode: (queries: readonly string[]) => readonly SparseVector[] | Promise<readonly SparseVector[]>,
): Retriever => ({
  name: "splade",
  unfound: 0,
  search: async (queries, options) => index.searchWeights(await encode(queries), options),
});

/** The weights of words of an index. @param reader reads queries as the model that made them reads documents */
export const indexTermWeights = (
  index: Pick<Searchable, "searchWeights">,
  reader: Pick<TermReader, "weights">,
): Retriever => ({
  name: "term weights",
  unfound: 0,
  search: async (queries, options) => index.searchWeights(queries.map(reader.weights), options),
});

/**
 * The token vectors of an index.
 *
 * @param encode the model that made them, for queries: for each [tokens, width]
 * @param late PLAID's settings, where they are not those of `plaidSettings`; `exact` looks at every document
 */
export const indexLateInteraction = (
  index: Searchable,
  encode: (queries: readonly string[]) => readonly Float32Array[] | Promise<readonly Float32Array[]>,
  late: LateSearchOptions & Pick<TokenSearchOptions, "exact"> = {},
): Retriever => ({
  name: "colbert",
  search: async (queries, options) => index.searchTokens(await encode(queries), { ...options, ...late }),
});
