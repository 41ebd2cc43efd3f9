// Training of EPIC through the scores that its weights make.
import { crossEntropy, mul, reshape, sum, take, tensor } from "@cloze/tensor";
import { type RowTrainingOptions, trainOnRows } from "../../training/train-on-rows.js";
import type { TrainResult } from "../../training/trainer.js";
import type { Epic } from "./epic.js";
import type { TermScoreRow } from "./train-term-weighter.js";

export interface TrainEpicOptions extends RowTrainingOptions {
  /** Rows of a batch, of which each token makes a row as wide as the vocabulary. Default 8. */
  batchSize?: number;
  /** Default 2e-5. */
  learningRate?: number;
}

/**
 * Trains model and heads by softmax cross-entropy over the scores of a document that answers the query and one that does not.
 *
 * @throws TRAINING_ROWS without rows, and what `train` throws
 */
export const trainEpic = (
  epic: Epic,
  rows: readonly TermScoreRow[],
  options: TrainEpicOptions = {},
): Promise<TrainResult> =>
  trainOnRows(
    {
      parameters: epic.parameters,
      rows,
      batchSize: 8,
      learningRate: 2e-5,
      weightDecay: 0.01,
      settings: { ...epic.options },
      loss(batch, seed) {
        const chosen = batch.map((i) => rows[i]);
        const how = { training: true, seed };
        const asked = epic.weights(
          chosen.map(({ query }) => query),
          "query",
          how,
        );
        const documents = epic.weights(
          chosen.flatMap(({ positive, negative }) => [positive, negative]),
          "document",
          how,
        );
        const twice = take(asked, tensor(Int32Array.from({ length: 2 * chosen.length }, (_, i) => i >> 1)));
        const scores = sum(mul(twice, documents), [1]); // [2 x rows]
        return crossEntropy(reshape(scores, [chosen.length, 2]), tensor(new Int32Array(chosen.length)));
      },
    },
    options,
  );
