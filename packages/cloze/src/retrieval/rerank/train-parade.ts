// Training of PARADE end to end, alone or from a teacher's scores.
import { add, binaryCrossEntropy, createAdamW, decayGroups, meanSquaredError, mul, tensor } from "@cloze/tensor";
import { shuffledBatches } from "../../data/batch-source.js";
import { ClozeError } from "../../errors.js";
import { type TrainOptions, type TrainResult, train, warmupLinear } from "../../training/trainer.js";
import type { Parade, ParadeDocument } from "./parade.js";

/** A query and a document, whether it is relevant, and what a teacher's logit is. */
export interface ParadeRow {
  readonly query: string;
  readonly document: ParadeDocument;
  readonly relevant: boolean;
  readonly teacher?: number;
}

export interface TrainParadeOptions
  extends Pick<
    TrainOptions<readonly number[]>,
    "steps" | "minutes" | "folder" | "resume" | "checkpointMinutes" | "seed" | "progress" | "shouldStop"
  > {
  /** Times that every row is seen, instead of `steps`. */
  epochs?: number;
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
export async function trainParade(
  parade: Parade,
  rows: readonly ParadeRow[],
  options: TrainParadeOptions = {},
): Promise<TrainResult> {
  const { seed = 1, epochs, learningRate = 3e-6, labelWeight = 0.75 } = options;
  if (rows.length === 0) throw new ClozeError("TRAINING_ROWS", "There are no rows to learn from");
  const batchSize = Math.min(options.batchSize ?? 32, rows.length);
  const taught = rows.every(({ teacher }) => teacher !== undefined);
  const optimizer = createAdamW(decayGroups(parade.parameters, { learningRate, weightDecay: 0.01 }));
  try {
    return await train<readonly number[]>({
      ...options,
      steps:
        options.steps ??
        (epochs === undefined ? undefined : Math.max(1, Math.round((epochs * rows.length) / batchSize))),
      parameters: new Map(parade.parameters),
      optimizer,
      schedule: warmupLinear(0.1),
      source: shuffledBatches(rows.length, batchSize, seed, (positions) => Array.from(positions)),
      settings: { learningRate, batchSize, labelWeight, ...parade.options },
      loss(batch, { seed: at }) {
        const documents = batch.map((i) => parade.sequences(rows[i].query, rows[i].document, (at + i) | 0));
        const logits = parade.logits(documents, { training: true, seed: at }); // [documents, 1]
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
      describe: (batch) => batch.slice(0, 8).map((i) => rows[i]),
    });
  } finally {
    optimizer.dispose();
  }
}
