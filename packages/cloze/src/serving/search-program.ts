// Searches of a large index by words or by weights as programs of the one queue: one search at a time, and others are
// answered while it runs.
import type { Ranking } from "../retrieval/evaluation/ranking.js";
import type { IndexSearchOptions } from "../retrieval/store/contract.js";
import type { Program, Unit } from "./scheduler.js";

/** A query. */
export interface SearchUnit<Query> extends Unit {
  readonly query: Query;
  readonly options: IndexSearchOptions;
}

export type SearchProgram<Query> = Program<SearchUnit<Query>, Ranking>;

/** What a query counts for beside texts. How long it takes is learnt. */
const tokens = 64;

export const searchUnit = <Query>(query: Query, options: IndexSearchOptions): SearchUnit<Query> => ({
  query,
  options,
  tokens,
});

/** @param search lets others in while it runs */
export const searchProgram = <Query>(
  name: string,
  search: (query: Query, options: IndexSearchOptions) => Promise<Ranking>,
): SearchProgram<Query> => ({
  name,
  // Together they would take as long, and the first would wait for the last.
  most: 1,
  async compute(units) {
    const rankings: Ranking[] = [];
    for (const { query, options } of units) rankings.push(await search(query, options));
    return rankings;
  },
});
