// A reranker that keeps what it reads of documents, in a pipeline (PreTTR).
import type { Reranker } from "../pipeline/retriever.js";
import { reorder } from "./first-stage-weight.js";
import { type DocumentTexts, type RerankOptions, withTitle } from "./rerankers.js";
import type { SplitRanker } from "./split-ranker.js";
import type { StateStore } from "./state-store.js";

export interface RerankSplitOptions extends RerankOptions {
  /** Where states are kept: documents that are there are not read again. Without: all are read for each query. */
  states?: Pick<StateStore, "get" | "put">;
}

/**
 * A stage whose lower layers read each document once.
 *
 * @example
 * const states = openStateStore("states", modelFingerprint("prettr"));
 * const search = pipeline(bm25, rerankSplit(loadSplitRanker("prettr"), texts, { states }));
 */
export function rerankSplit(
  ranker: Pick<SplitRanker, "store" | "score">,
  texts: DocumentTexts,
  { depth = 100, firstStageWeight = 0, states }: RerankSplitOptions = {},
): Reranker {
  return {
    name: "prettr",
    async rerank(query, ranking) {
      const head = ranking.slice(0, depth);
      if (head.length === 0) return ranking;
      const documents = head.map(({ id }) => withTitle(texts(id) ?? { text: "" }));
      const found = documents.map((text) => states?.get(text));
      const missing = [...found.keys()].filter((i) => found[i] === undefined);
      for (const [i, stored] of ranker.store(missing.map((i) => documents[i])).entries()) {
        states?.put(documents[missing[i]], stored);
        found[missing[i]] = stored;
      }
      const scores = ranker.score(
        query,
        found.flatMap((one) => one ?? []),
      );
      return reorder(ranking, depth, scores, firstStageWeight);
    },
  };
}
