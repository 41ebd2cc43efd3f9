// Training of a small part, or of an encoder with one, on rows that lie in memory.
import { createAdamW, decayGroups, type Tensor } from "@cloze/tensor";
import { shuffledBatches } from "../data/batch-source.js";
import { ClozeError } from "../errors.js";
import { type TrainOptions, type TrainResult, train, warmupLinear } from "./trainer.js";

export interface RowTrainingOptions
  extends Pick<
    TrainOptions<readonly number[]>,
    "steps" | "minutes" | "folder" | "resume" | "checkpointMinutes" | "seed" | "progress" | "shouldStop"
  > {
  /** Times that every row is seen, instead of `steps`. */
  epochs?: number;
  /** Rows of a batch. */
  batchSize?: number;
  learningRate?: number;
  /** None on biases and norms. */
  weightDecay?: number;
}

/** What is trained, on what, and what stands in where options say nothing. */
export interface RowTraining<Row> {
  readonly parameters: ReadonlyMap<string, Tensor>;
  readonly rows: readonly Row[];
  /** The mean loss of a batch. @param batch positions among the rows @param seed of this step's randomness */
  loss(batch: readonly number[], seed: number): Tensor;
  readonly batchSize: number;
  readonly learningRate: number;
  /** None on biases and norms. */
  readonly weightDecay: number;
  /** What else must not change between an interrupted run and its continuation. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** What a report of a diverged run says of a row. Default: the row. */
  readonly describe?: (row: Row) => unknown;
}

/**
 * AdamW over shuffled batches of rows: a tenth of warm-up, then a linear fall.
 *
 * @throws TRAINING_ROWS without rows, and what `train` throws
 */
export async function trainOnRows<Row>(
  { parameters, rows, loss, settings, describe = (row) => row, ...usual }: RowTraining<Row>,
  { epochs, ...options }: RowTrainingOptions,
): Promise<TrainResult> {
  const { seed = 1, learningRate = usual.learningRate, weightDecay = usual.weightDecay } = options;
  if (rows.length === 0) throw new ClozeError("TRAINING_ROWS", "There are no rows to learn from");
  const batchSize = Math.min(options.batchSize ?? usual.batchSize, rows.length);
  const ofEpochs = epochs === undefined ? undefined : Math.max(1, Math.round((epochs * rows.length) / batchSize));
  const optimizer = createAdamW(decayGroups(parameters, { learningRate, weightDecay }));
  try {
    return await train<readonly number[]>({
      ...options,
      steps: options.steps ?? ofEpochs,
      parameters: new Map(parameters),
      optimizer,
      schedule: warmupLinear(0.1),
      source: shuffledBatches(rows.length, batchSize, seed, (positions) => Array.from(positions)),
      settings: { learningRate, batchSize, weightDecay, ...settings },
      loss: (batch, context) => loss(batch, context.seed),
      describe: (batch) => batch.slice(0, 8).map((i) => describe(rows[i])),
    });
  } finally {
    optimizer.dispose();
  }
}
