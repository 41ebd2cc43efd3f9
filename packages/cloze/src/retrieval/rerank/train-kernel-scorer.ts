// Training of IDCM's cheap scorer from the scores that a cross-encoder gives to all blocks.
import {
  add,
  div,
  logSoftmax,
  meanSquaredError,
  mul,
  neg,
  reshape,
  softmax,
  sub,
  sum,
  type Tensor,
  tensor,
} from "@cloze/tensor";
import { ClozeError } from "../../errors.js";
import { rankingLosses } from "../../tasks/ranking-losses.js";
import { type RowTrainingOptions, trainOnRows } from "../../training/train-on-rows.js";
import type { TrainResult } from "../../training/trainer.js";
import type { KernelScorer } from "./kernel-scorer.js";

/** A query, the blocks of a document, and what the cross-encoder gives each. */
export interface KernelScorerRow {
  readonly query: string;
  readonly blocks: readonly string[];
  readonly teacher: ArrayLike<number>;
}

/** What is learnt of the teacher: the order of its best blocks (LambdaLoss), or its scores. */
export type KernelScorerLoss = "ndcg-loss2" | "mse" | "kl" | "cross-entropy";

export interface TrainKernelScorerOptions extends RowTrainingOptions {
  loss?: KernelScorerLoss;
  /** Blocks that are to be found: they gain n, n - 1 … 1, all others 0. Default 4. */
  best?: number;
  /** Rows of a batch. Default 32. */
  batchSize?: number;
  /** Default 1e-3. */
  learningRate?: number;
}

/** n for the best score, down to 1 for the n-th, 0 for the others. */
export function blockGains(teacher: ArrayLike<number>, best: number): number[] {
  const order = Array.from(teacher, (_, i) => i).sort((a, b) => teacher[b] - teacher[a] || a - b);
  const gains = new Array<number>(teacher.length).fill(0);
  order.slice(0, best).forEach((place, rank) => {
    gains[place] = best - rank;
  });
  return gains;
}

const listLosses: Record<
  KernelScorerLoss,
  (scores: Tensor, teacher: ArrayLike<number>, best: number) => Tensor | undefined
> = {
  // NDCG's gain is 2^grade - 1: these grades make it n, n - 1 … 1.
  "ndcg-loss2": (scores, teacher, best) =>
    rankingLosses["ndcg-loss2"](
      scores,
      blockGains(teacher, best).map((gain) => Math.log2(gain + 1)),
    ),
  mse: (scores, teacher) => meanSquaredError(scores, tensor(Float32Array.from(teacher))),
  kl: (scores, teacher) => {
    const line = [1, teacher.length];
    const wanted = tensor(Float32Array.from(teacher), line);
    return sum(mul(softmax(wanted), sub(logSoftmax(wanted), logSoftmax(reshape(scores, line)))));
  },
  "cross-entropy": (scores, teacher) => {
    const line = [1, teacher.length];
    return neg(sum(mul(softmax(tensor(Float32Array.from(teacher), line)), logSoftmax(reshape(scores, line)))));
  },
};

/** The loss of one row's scores; undefined where its blocks have no order to learn. @param scores [blocks] */
export const kernelScorerLoss = (
  scores: Tensor,
  teacher: ArrayLike<number>,
  { loss = "ndcg-loss2", best = 4 }: Pick<TrainKernelScorerOptions, "loss" | "best"> = {},
): Tensor | undefined => listLosses[loss](scores, teacher, best);

/**
 * Trains the scorer; the encoder and the cross-encoder stay as they are.
 *
 * @throws TRAINING_ROWS without rows of two blocks or more, and what `train` throws
 */
export async function trainKernelScorer(
  scorer: KernelScorer,
  given: readonly KernelScorerRow[],
  options: TrainKernelScorerOptions = {},
): Promise<TrainResult> {
  const rows = given.filter(({ blocks }) => blocks.length > 1);
  if (rows.length === 0)
    throw new ClozeError("TRAINING_ROWS", "There are no documents of several blocks to learn from");
  const { loss, best, ...training } = options;
  return trainOnRows(
    {
      parameters: scorer.parameters,
      rows,
      batchSize: 32,
      learningRate: 1e-3,
      weightDecay: 0,
      settings: { loss, best, ...scorer.options },
      loss(batch) {
        const losses = batch.flatMap((i) => {
          const { query, blocks, teacher } = rows[i];
          return kernelScorerLoss(scorer.scores(query, blocks), teacher, { loss, best }) ?? [];
        });
        if (losses.length > 0) return div(losses.reduce(add), losses.length);
        return mul(sum(scorer.scores(rows[batch[0]].query, rows[batch[0]].blocks)), 0);
      },
      describe: ({ query }) => query,
    },
    training,
  );
}
