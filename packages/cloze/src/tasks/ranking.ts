// Candidates in the order of their relevance to a query: answer-sentence selection, reranking.
import { add, binaryCrossEntropy, div, mul, reshape, slice, sum, type Tensor, tensor } from "@cloze/tensor";
import { z } from "zod";
import { type RankingRow, readTaskRows } from "../data/readers/index.js";
import { ClozeError } from "../errors.js";
import { summarizeRankedLists } from "../metrics/ranked-lists.js";
import { encodeText } from "./encode-text.js";
import { rowsOfSequences } from "./outputs.js";
import { type RankingLoss, rankingLosses } from "./ranking-losses.js";
import { defineTask, type TaskBatch } from "./task.js";

const losses = ["pointwise", ...(Object.keys(rankingLosses) as RankingLoss[])] as const;
const settingsSchema = z.strictObject({ loss: z.enum(losses) });
const optionsSchema = z.strictObject({
  loss: z
    .enum(losses)
    .optional()
    .describe(
      "pointwise (each candidate alone, the default); pairwise, hinge (better above worse); listwise, list-net, list-mle, p-list-mle (all at once); lambda-rank, ndcg-loss2, ndcg-loss2++ (pairs by what they change in NDCG)",
    ),
});

function relevanceOf({ relevance, row }: RankingRow): readonly number[] {
  if (relevance !== undefined) return relevance;
  throw new ClozeError("ROW_UNLABELLED", `Row ${row} does not say which candidates are relevant`, {
    remedy: "Name the column with --column relevance=…, or leave the row out.",
  });
}

/** Mean over the queries of a batch that have something to say. logits: [sequences, 1] */
function groupedLoss(
  logits: Tensor,
  { rowOffsets, labels }: TaskBatch,
  each: (typeof rankingLosses)[RankingLoss],
): Tensor {
  const grades = labels as Float32Array;
  const terms = Array.from(rowOffsets.subarray(1), (end, row) => {
    const start = rowOffsets[row];
    const scores = reshape(slice(logits, [{ start, end }]), [end - start]);
    return each(scores, grades.subarray(start, end));
  }).filter((term) => term !== undefined);
  return terms.length === 0 ? mul(sum(logits), 0) : div(terms.reduce(add), terms.length);
}

export interface RankingPrediction {
  /** Candidates, best first: their places in the row, and their scores. */
  readonly ranked: readonly { readonly candidate: number; readonly text: string; readonly score: number }[];
}

/** A cross-encoder that reads query and candidate together. */
export const ranking = defineTask<RankingRow, z.output<typeof settingsSchema>, RankingPrediction>({
  name: "ranking",
  description: "candidates by their relevance to a query",
  defaults: { maxLength: 256, batchSize: 8, learningRate: 5e-5, epochs: 2 },
  options: optionsSchema,
  settings: settingsSchema,
  texts: ({ query, candidates }) => [query, ...candidates],
  read: (input, options) => readTaskRows("ranking", input, options),
  prepare(rows, options) {
    const { loss = "pointwise" } = optionsSchema.parse(options);
    if (rows.some((row) => new Set(relevanceOf(row)).size > 1) || loss === "pointwise") return { loss };
    throw new ClozeError(
      "LABELS_ONE_CLASS",
      "No query has both better and worse candidates, so nothing is to be ranked",
      {
        remedy: "Give queries candidates that are not relevant, or use the pointwise loss.",
      },
    );
  },
  head: () => ({ architecture: "ForSequenceClassification", labels: 1, problem: "regression" }),
  fromHead: (head) =>
    head.type === "sequence-classification" && head.labels === 1 ? { loss: "pointwise" as const } : undefined,
  encode: (row, _, context) => ({
    sequences: row.candidates.map((pair) => encodeText({ text: row.query, pair, row: row.row }, context)),
    labels: context.training ? Float32Array.from(relevanceOf(row)) : undefined,
    details: undefined,
  }),
  inputs: (batch) => ({ batch, labels: {} }),
  loss({ logits }, batch, { loss }) {
    const scores = logits as Tensor; // [sequences, 1]
    if (loss !== "pointwise") return groupedLoss(scores, batch, rankingLosses[loss]);
    const targets = Float32Array.from(batch.labels ?? [], (grade) => Number(grade > 0));
    return binaryCrossEntropy(scores, tensor(targets, scores.shape));
  },
  outputs: ({ logits }, batch) => rowsOfSequences(logits, batch),
  predict: ({ candidates }, _, logits) => ({
    ranked: candidates
      .map((text, candidate) => ({ candidate, text, score: logits[candidate] }))
      .sort((a, b) => b.score - a.score || a.candidate - b.candidate),
  }),
  checkGold: (rows) => rows.forEach((row) => void relevanceOf(row)),
  score(rows, predictions) {
    const lists = rows.map((row, i) => ({
      ranked: predictions[i].ranked.map(({ candidate }) => candidate),
      relevance: new Map(relevanceOf(row).map((grade, candidate) => [candidate, grade] as const)),
    }));
    const summary = summarizeRankedLists(lists, [1, 10]);
    return {
      values: {
        map: summary.meanAveragePrecision,
        mrr: summary.meanReciprocalRank,
        "ndcg@10": summary.ndcg[10],
        "precision@1": summary.precision[1],
      },
    };
  },
  headline: () => "map",
});
