// Predictions and scores of a model on rows, whatever the task.
import { noGrad, scope } from "@cloze/tensor";
import { groupByTokenBudget } from "../data/packed-batch.js";
import type { DataWarnings } from "../data/readers/index.js";
import { createWarnings } from "../data/readers/warnings.js";
import type { EncoderBatch } from "../encoder/batch.js";
import { ClozeError } from "../errors.js";
import type { Model, ModelOutput } from "../families/index.js";
import type { Tokenizer } from "../text/index.js";
import { joinNumbers } from "./outputs.js";
import type { Example, Scores, Task } from "./task.js";
import { packExamples, tokensOf } from "./task-batch.js";

/** A model with all that its task must know. */
export interface TaskModel<Row, Settings, Prediction> {
  readonly task: Task<Row, Settings, Prediction>;
  readonly settings: Settings;
  readonly model: Model;
  readonly tokenizer: Tokenizer;
  /** Longest sequence, special tokens included. */
  readonly maxLength: number;
  /** How predictions are computed. Default: the model's own forward pass; a plan does the same faster. */
  readonly forward?: (batch: EncoderBatch, asked?: { readonly rows: Int32Array }) => ModelOutput;
}

export interface PredictOptions {
  /** Tokens of a forward pass. Default 4096. */
  tokenBudget?: number;
  /** Rows that are read before their predictions come. Default 512. */
  chunk?: number;
  warnings?: DataWarnings;
  /** Called with the rows done so far. */
  onProgress?: (rows: number) => void;
}

/** Outputs of examples, each as the task reads it, in their order. */
function outputsOf<Row, Settings, Prediction>(
  { task, settings, model, tokenizer, forward = model.forward }: TaskModel<Row, Settings, Prediction>,
  examples: readonly Example[],
  tokenBudget: number,
): Float32Array[] {
  // A row of many long windows is cut into its sequences: outputs come sequence by sequence.
  const units = examples.flatMap((example, row) =>
    tokensOf(example) <= tokenBudget
      ? [{ row, example }]
      : example.sequences.map((sequence) => ({
          row,
          example: { sequences: [sequence], details: undefined } as Example,
        })),
  );
  const parts: (Float32Array | undefined)[] = units.map(() => undefined);
  const lengths = units.map(({ example }) => tokensOf(example));
  for (const group of groupByTokenBudget(lengths, tokenBudget)) {
    const batch = packExamples(group.map((unit) => ({ sequences: units[unit].example.sequences, details: undefined })));
    const outputs = noGrad(() =>
      scope(() => {
        const inputs = task.inputs(batch, settings, { tokenizer, training: false, seed: 0 });
        return task.outputs(forward(inputs.batch, inputs.asked), batch, settings, inputs);
      }),
    );
    group.forEach((unit, i) => {
      parts[unit] = outputs[i];
    });
  }
  const rows: Float32Array[][] = examples.map(() => []);
  units.forEach(({ row }, unit) => {
    rows[row].push(parts[unit] as Float32Array);
  });
  return rows.map(joinNumbers);
}

/**
 * Predictions for rows, in the order of the rows, a chunk at a time.
 *
 * @throws what the task and the model throw
 * @example
 * for await (const { row, prediction } of predictRows(loaded, rows)) console.log(prediction);
 */
export async function* predictRows<Row, Settings, Prediction>(
  taskModel: TaskModel<Row, Settings, Prediction>,
  rows: Iterable<Row> | AsyncIterable<Row>,
  { tokenBudget = 4096, chunk = 512, warnings = createWarnings(), onProgress }: PredictOptions = {},
): AsyncGenerator<{ readonly row: Row; readonly prediction: Prediction }> {
  const { task, settings, tokenizer, maxLength } = taskModel;
  const context = { tokenizer, maxLength, training: false, warnings };
  let done = 0;
  let waiting: Row[] = [];
  const flush = function* () {
    const examples = waiting.map((row) => task.encode(row, settings, context));
    const outputs = outputsOf(taskModel, examples, tokenBudget);
    for (const [i, row] of waiting.entries())
      yield { row, prediction: task.predict(row, examples[i], outputs[i], settings) };
    done += waiting.length;
    onProgress?.(done);
    waiting = [];
  };
  for await (const row of rows) {
    waiting.push(row);
    if (waiting.length >= chunk) {
      yield* flush();
      // Lets signals and servers in.
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
  if (waiting.length > 0) yield* flush();
}

export interface Evaluation<Prediction> {
  readonly scores: Scores;
  readonly predictions: readonly Prediction[];
}

/** Predictions for labelled rows, and their scores. @throws ROW_UNLABELLED, ROWS_EMPTY and what `predictRows` throws */
export async function evaluateRows<Row, Settings, Prediction>(
  taskModel: TaskModel<Row, Settings, Prediction>,
  rows: readonly Row[],
  options: PredictOptions = {},
): Promise<Evaluation<Prediction>> {
  const { warnings = createWarnings() } = options;
  if (rows.length === 0) {
    throw new ClozeError("ROWS_EMPTY", "There is no row to evaluate on", { remedy: "Check the file." });
  }
  taskModel.task.checkGold?.(rows);
  const predictions: Prediction[] = [];
  for await (const { prediction } of predictRows(taskModel, rows, { ...options, warnings }))
    predictions.push(prediction);
  return { predictions, scores: taskModel.task.score(rows, predictions, taskModel.settings, warnings) };
}
