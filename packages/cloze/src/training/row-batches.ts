// Shuffled batches of rows, and how many steps their epochs take.
import { type BatchSource, budgetBatches } from "../data/batch-source.js";
import type { TaskBatch } from "../tasks/task.js";
import type { ExampleStore } from "../tasks/task-batch.js";

export interface RowBatchOptions {
  /** Rows of a batch. */
  batchSize: number;
  /** Tokens of a batch, instead of rows. */
  batchTokens?: number;
  epochs: number;
  accumulate: number;
  seed: number;
}

export interface RowBatches {
  readonly source: BatchSource<TaskBatch>;
  /** Optimizer steps in all. */
  readonly steps: number;
  /** The step with which each epoch ends. */
  readonly epochEnds: readonly number[];
}

/** Every row once an epoch, in a new order each time; the last batch of an epoch may be smaller. */
export function rowBatches(store: ExampleStore, options: RowBatchOptions): RowBatches {
  const { batchSize, batchTokens, epochs, accumulate, seed } = options;
  const cost = batchTokens === undefined ? () => 1 : (row: number) => store.length(row);
  const batches = <Batch>(make: (rows: Int32Array) => Batch) =>
    budgetBatches(store.count, cost, batchTokens ?? batchSize, seed, make);
  // How many batches an epoch has depends on its order when tokens are counted, so the orders are gone through once.
  const trial = batches((rows) => rows.length);
  const epochEnds: number[] = [];
  // The last epoch may be a part of one.
  const wanted = Math.ceil(epochs * store.count);
  for (let seen = 0, drawn = 0; seen < wanted; ) {
    seen += trial.next();
    drawn++;
    if (seen >= Math.min(wanted, (epochEnds.length + 1) * store.count)) epochEnds.push(Math.ceil(drawn / accumulate));
  }
  return { source: batches((rows) => store.batch(rows)), steps: epochEnds[epochEnds.length - 1], epochEnds };
}
