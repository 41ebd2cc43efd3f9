// Reranking: whether what is relevant to a query stands before what is not.
import { ClozeError } from "../../errors.js";
import { type EmbeddingEvaluator, unitRows, vectorsOfTexts } from "./evaluator.js";
import { meanOfRows, rankedAveragePrecision, rankedNdcg, reciprocalRank } from "./ranked-figures.js";

/** A query with texts that answer it and texts that do not. */
export interface RerankingRow {
  readonly query: string;
  readonly positives: readonly string[];
  readonly negatives: readonly string[];
}

/**
 * Orders each query's texts by cosine: map, mrr@10, ndcg@10. Texts that score the same stand with the negatives first, so that
 * a model that tells nothing apart gains nothing.
 *
 * @throws DATA_EMPTY when no row has both kinds of texts
 */
export const rerankingEvaluator = (given: readonly RerankingRow[]): EmbeddingEvaluator => ({
  name: "reranking",
  headline: "map",
  async evaluate(embedder) {
    const rows = given.filter(({ positives, negatives }) => positives.length > 0 && negatives.length > 0);
    if (rows.length === 0) {
      throw new ClozeError("DATA_EMPTY", "There is no query with texts that answer it and texts that do not", {
        received: `${given.length} rows`,
      });
    }
    const { width } = embedder;
    const texts = rows.flatMap(({ positives, negatives }) => [...negatives, ...positives]);
    const queries = rows.map(({ query }) => query);
    const documents = unitRows(await vectorsOfTexts(embedder, texts, { role: "document" }), width);
    const asked = unitRows(await vectorsOfTexts(embedder, queries, { role: "query" }), width);
    let start = 0;
    const figures = rows.map(({ positives, negatives }, q) => {
      const count = positives.length + negatives.length;
      const scores = Float64Array.from({ length: count }, (_, i) => {
        let dot = 0;
        for (let c = 0; c < width; c++) dot += asked[q * width + c] * documents[(start + i) * width + c];
        return dot;
      });
      start += count;
      const ranked = [...scores.keys()].sort((a, b) => scores[b] - scores[a] || a - b);
      const relevance = new Map(positives.map((_, i) => [negatives.length + i, 1]));
      const list = { ranked, relevance };
      return {
        map: rankedAveragePrecision(list),
        "mrr@10": reciprocalRank({ ranked: ranked.slice(0, 10), relevance }),
        "ndcg@10": rankedNdcg(list, { cutoff: 10 }),
      };
    });
    return meanOfRows(figures);
  },
});
