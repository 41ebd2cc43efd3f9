// The figures of retrieval benchmarks over a run, as trec_eval computes them.
import { rankedAveragePrecision, rankedNdcg, recallAtK, reciprocalRank } from "../../metrics/ranked-lists.js";
import type { Qrels } from "../test-collection/qrels.js";
import { type Run, trecOrder } from "./ranking.js";

/** Means over the judged queries. */
export interface RunMeasures {
  readonly queries: number;
  readonly "ndcg@10": number;
  readonly "recall@100": number;
  /** Reciprocal of the place of the first relevant document, 0 where it is not among the first ten. */
  readonly "mrr@10": number;
  /** Mean average precision over the whole ranking. */
  readonly map: number;
}

/** What every query scored, by its id. */
export type QueryMeasures = Omit<RunMeasures, "queries">;

/**
 * Scores a run against judgements, query by query. Gains are linear; documents that are not judged are not relevant; those
 * that are judged and were not found (or do not exist) count as missed. A query without a ranking scores 0 (trec_eval -c),
 * and so does one for which nothing is relevant.
 */
export function measureQueries(run: Run, qrels: Qrels): Map<string, QueryMeasures> {
  const scores = new Map<string, QueryMeasures>();
  for (const [query, relevance] of qrels) {
    const ranked = trecOrder(run.get(query) ?? []).map(({ id }) => id);
    const list = { ranked, relevance };
    scores.set(query, {
      "ndcg@10": rankedNdcg(list, { cutoff: 10 }),
      "recall@100": recallAtK(list, 100),
      "mrr@10": reciprocalRank({ ranked: ranked.slice(0, 10), relevance }),
      map: rankedAveragePrecision(list),
    });
  }
  return scores;
}

/** The means of {@link measureQueries}; NaN without queries. */
export function measureRun(run: Run, qrels: Qrels): RunMeasures {
  const scores = [...measureQueries(run, qrels).values()];
  const mean = (name: keyof QueryMeasures): number =>
    scores.reduce((sum, score) => sum + score[name], 0) / scores.length;
  return {
    queries: scores.length,
    "ndcg@10": mean("ndcg@10"),
    "recall@100": mean("recall@100"),
    "mrr@10": mean("mrr@10"),
    map: mean("map"),
  };
}
