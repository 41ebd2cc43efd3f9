// Training of a reranker that reads documents without the query below a layer (PreTTR).
import { binaryCrossEntropy, tensor } from "@cloze/tensor";
import { type RowTrainingOptions, trainOnRows } from "../../training/train-on-rows.js";
import type { TrainResult } from "../../training/trainer.js";
import type { SplitRanker } from "./split-ranker.js";

/** A query and a document, and whether it is relevant. */
export interface SplitRow {
  readonly query: string;
  readonly document: string;
  readonly relevant: boolean;
}

export interface TrainSplitRankerOptions extends RowTrainingOptions {
  /** Rows of a batch. Default 32. */
  batchSize?: number;
  /** Default 2e-5. */
  learningRate?: number;
}

/**
 * Trains encoder, score and codec as they will be used: the lower layers read each side alone, and the upper ones what a codec
 * leaves of documents. Cross-entropy of each document.
 *
 * @throws TRAINING_ROWS without rows, and what `train` throws
 */
export const trainSplitRanker = (
  ranker: SplitRanker,
  rows: readonly SplitRow[],
  options: TrainSplitRankerOptions = {},
): Promise<TrainResult> =>
  trainOnRows(
    {
      parameters: ranker.parameters,
      rows,
      batchSize: 32,
      learningRate: 2e-5,
      weightDecay: 0.01,
      settings: { ...ranker.options },
      loss(batch, seed) {
        const chosen = batch.map((i) => rows[i]);
        const logits = ranker.logits(chosen, { training: true, seed });
        const labels = Float32Array.from(chosen, ({ relevant }) => Number(relevant));
        return binaryCrossEntropy(logits, tensor(labels, logits.shape));
      },
    },
    options,
  );
