// A pipeline: something that finds, and things that put what was found in a better order.
import type { Ranking } from "../evaluation/ranking.js";
import type { Filter } from "../store/filter.js";

export interface SearchOptions {
  /** Documents per query at most. */
  readonly depth: number;
  /** Conditions on fields, where the retriever's index keeps fields. */
  readonly filter?: Filter;
}

/** Finds documents for queries; a pipeline is one too. */
export interface Retriever {
  readonly name: string;
  /** The score of documents that are not in a list though there was room for them; undefined where there are none. */
  readonly unfound?: number;
  /** One ranking for each query. */
  search(queries: readonly string[], options: SearchOptions): Promise<Ranking[]>;
}

/** Puts a ranking into a new order. */
export interface Reranker {
  readonly name: string;
  rerank(query: string, ranking: Ranking): Promise<Ranking>;
}

/**
 * A retriever and the rerankers that see what it found, in turn.
 *
 * @example
 * const search = pipeline(bm25, rerankPointwise(model, texts, { depth: 100 }));
 * const [best] = await search.search(["what is a stoat"], { depth: 10 });
 */
export function pipeline(first: Retriever, ...rerankers: readonly Reranker[]): Retriever {
  if (rerankers.length === 0) return first;
  return {
    name: [first.name, ...rerankers.map(({ name }) => name)].join(" > "),
    async search(queries, { depth, ...rest }) {
      // What is reranked is more than what is asked for.
      const found = await first.search(queries, { depth: Math.max(depth, 100), ...rest });
      const result: Ranking[] = [];
      for (const [i, query] of queries.entries()) {
        let ranking: Ranking = found[i];
        for (const reranker of rerankers) ranking = await reranker.rerank(query, ranking);
        result.push(ranking.slice(0, depth));
      }
      return result;
    },
  };
}
