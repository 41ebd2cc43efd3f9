// Search: where the relevant documents stand among all.
import { scope, tensor } from "@cloze/tensor";
import { createExactIndex } from "../../retrieval/exact.js";
import { topScores } from "../../retrieval/top-scores.js";
import { type EmbeddingEvaluator, unitRows, vectorsOfTexts } from "./evaluator.js";
import { meanOfRows, rankedAveragePrecision, rankedNdcg, recallAtK, reciprocalRank } from "./ranked-figures.js";

/** A test collection in memory. */
export interface RetrievalData {
  /** Texts by their ids. */
  readonly queries: ReadonlyMap<string, string>;
  readonly documents: ReadonlyMap<string, string>;
  /** Grade of each judged document of a query; above 0 is relevant. */
  readonly relevance: ReadonlyMap<string, ReadonlyMap<string, number>>;
}

/**
 * Ranks all documents for each judged query by cosine: ndcg@10, recall@100, mrr@10, map (of the first 1,000), as trec_eval has
 * them.
 */
export const retrievalEvaluator = ({ queries, documents, relevance }: RetrievalData): EmbeddingEvaluator => ({
  name: "retrieval",
  headline: "ndcg@10",
  async evaluate(embedder) {
    const { width } = embedder;
    const ids = [...documents.keys()];
    const asked = [...relevance.keys()].filter((id) => queries.has(id));
    const texts = asked.map((id) => queries.get(id) as string);
    const documentVectors = unitRows(
      await vectorsOfTexts(embedder, [...documents.values()], { role: "document" }),
      width,
    );
    const queryVectors = unitRows(await vectorsOfTexts(embedder, texts, { role: "query" }), width);
    return scope(() => {
      const index = createExactIndex(tensor(documentVectors, [ids.length, width]));
      const figures: Record<string, number>[] = [];
      index.forEachScores(tensor(queryVectors, [asked.length, width]), (query, scores) => {
        const ranked = topScores(scores, Math.min(1000, ids.length)).map((hit) => ids[hit.index]);
        const list = { ranked, relevance: relevance.get(asked[query]) as ReadonlyMap<string, number> };
        figures.push({
          "ndcg@10": rankedNdcg(list, { cutoff: 10 }),
          "recall@100": recallAtK(list, 100),
          "mrr@10": reciprocalRank({ ...list, ranked: ranked.slice(0, 10) }),
          map: rankedAveragePrecision(list),
        });
      });
      index.dispose();
      return meanOfRows(figures);
    });
  },
});
