// How well queries find their documents: an encoder, BM25, and both together, on the same documents.
import { scope, type Tensor } from "@cloze/tensor";
import type { Embedder } from "../embedding/embedder.js";
import { fuseScores, type RankingSummary, rankOf, summarizeRanks } from "../metrics/ranking.js";
import type { Bm25Index } from "../retrieval/bm25.js";
import { createExactIndex } from "../retrieval/exact.js";

/** A question whose right answer is known. */
export interface SearchTask {
  readonly documents: readonly string[];
  readonly queries: readonly string[];
  /** Position of the right document of each query. */
  readonly answers: ArrayLike<number>;
}

/** One line of the results. */
export interface EvaluationRow extends RankingSummary {
  readonly name: string;
  /** Seconds of training behind it. */
  readonly seconds?: number;
}

/** Share of BM25's standardised score that is added to the encoder's. */
export const fusionWeight = 0.03;

/** BM25 alone. */
export function evaluateBm25(task: SearchTask, bm25: Bm25Index): EvaluationRow {
  const ranks = task.queries.map((query, i) => rankOf(bm25.scores(query), task.answers[i]));
  return { name: "BM25", ...summarizeRanks(ranks) };
}

/**
 * The encoder alone and (with `bm25`) fused with it.
 *
 * @param vectors the documents' vectors, [documents, width]
 */
export function evaluateEmbedder(
  name: string,
  task: SearchTask,
  embedder: Embedder,
  vectors: Tensor,
  bm25?: Bm25Index,
  seconds?: number,
): EvaluationRow[] {
  return scope(() => {
    const queries = embedder.embed(task.queries, { role: "query" });
    const index = createExactIndex(vectors);
    const alone: number[] = [];
    const fused: number[] = [];
    index.forEachScores(queries, (query, scores) => {
      alone.push(rankOf(scores, task.answers[query]));
      if (bm25 === undefined) return;
      fused.push(rankOf(fuseScores(scores, bm25.scores(task.queries[query]), fusionWeight), task.answers[query]));
    });
    index.dispose();
    const rows: EvaluationRow[] = [{ name, seconds, ...summarizeRanks(alone) }];
    if (bm25 !== undefined) rows.push({ name: `${name} + ${fusionWeight} × BM25`, seconds, ...summarizeRanks(fused) });
    return rows;
  });
}

/** Rows for a table: the name, recall at 1, 10 and 100, the mean reciprocal rank, seconds of training. */
export const evaluationTable = (rows: readonly EvaluationRow[]): string[][] => [
  ["", "recall@1", "recall@10", "recall@100", "MRR", "trained"],
  ...rows.map(({ name, recall, meanReciprocalRank, seconds }) => [
    name,
    recall[1].toFixed(3),
    recall[10].toFixed(3),
    recall[100].toFixed(3),
    meanReciprocalRank.toFixed(3),
    seconds === undefined ? "" : `${Math.round(seconds)} s`,
  ]),
];
