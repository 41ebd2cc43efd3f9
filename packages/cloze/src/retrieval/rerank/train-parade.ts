// Training of PARADE end to end, alone or from a teacher's scores.
import { add, binaryCrossEntropy, meanSquaredError, mul, tensor } from "@cloze/tensor";
import { type RowTrainingOptions, trainOnRows } from "../../training/train-on-rows.js";
import type { TrainResult } from "../../training/trainer.js";
import type { Parade, ParadeDocument } from "./parade.js";

/** A query and a document, whether it is relevant, and what a teacher's logit is. */
export interface ParadeRow {
  readonly query: string;
  readonly document: ParadeDocument;
  readonly relevant: boolean;
  readonly teacher?: number;
}

export interface TrainParadeOptions extends RowTrainingOptions {
  /** Rows of a batch. Default 32. */
  batchSize?: number;
  /** Default 3e-6, as the paper has it for models that rank already; higher from others. */
  learningRate?: number;
  /** Weight of the labels beside a teacher's logits. Default 0.75; rows without a teacher have labels alone. */
  labelWeight?: number;
}

/**
 * Trains a PARADE reranker: cross-entropy of each document alone, the gradient goes through all passages to the encoder. With
 * teachers' logits: weight x cross-entropy + (1 - weight) x squared error.
 *
 * @throws TRAINING_ROWS without rows, and what `train` throws
 */
export function trainParade(
  parade: Parade,
  rows: readonly ParadeRow[],
  { labelWeight = 0.75, ...options }: TrainParadeOptions = {},
): Promise<TrainResult> {
  const taught = rows.every(({ teacher }) => teacher !== undefined);
  return trainOnRows(
    {
      parameters: parade.parameters,
      rows,
      batchSize: 32,
      learningRate: 3e-6,
      weightDecay: 0.01,
      settings: { labelWeight, ...parade.options },
      loss(batch, seed) {
        const documents = batch.map((i) => parade.sequences(rows[i].query, rows[i].document, (seed + i) | 0));
        const logits = parade.logits(documents, { training: true, seed }); // [documents, 1]
        const column = (of: (row: ParadeRow) => number) =>
          tensor(
            Float32Array.from(batch, (i) => of(rows[i])),
            logits.shape,
          );
        const labels = binaryCrossEntropy(
          logits,
          column(({ relevant }) => Number(relevant)),
        );
        if (!taught) return labels;
        const distance = meanSquaredError(
          logits,
          column(({ teacher }) => teacher as number),
        );
        return add(mul(labels, labelWeight), mul(distance, 1 - labelWeight));
      },
    },
    options,
  );
}
