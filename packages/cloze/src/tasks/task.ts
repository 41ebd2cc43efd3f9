// What a model is used for. A task declares the head that it needs, how a row becomes sequences and labels, how outputs become
// predictions, and how predictions are scored; whoever trains, evaluates or predicts asks for no task by name.
import type { Tensor } from "@cloze/tensor";
import type { z } from "zod";
import type { Sequence } from "../data/packed-batch.js";
import type { DataWarnings, ReadTaskRowsOptions, RowInput, TypedRows } from "../data/readers/index.js";
import type { EncoderBatch } from "../encoder/batch.js";
import type { HeadFields, ModelOutput } from "../families/index.js";
import type { HeadConfig, HeadOutput, Labels } from "../heads/index.js";
import type { Steps, Tokenizer } from "../text/index.js";

/** What a row becomes: one sequence, or several (windows of a long text, choices, candidates). */
export interface Example<Details = unknown> {
  /** At least one. */
  readonly sequences: readonly Sequence[];
  /** Of all its sequences, as the task's `inputs` reads them: classes or places (int32), or numbers (float32). */
  readonly labels?: Int32Array | Float32Array;
  /** What `predict` wants to know again, such as where tokens stand in the text. Not kept for training. */
  readonly details: Details;
}

/** Examples laid end to end. */
export interface TaskBatch extends EncoderBatch {
  /** Row r holds the sequences [rowOffsets[r], rowOffsets[r + 1]). [rows + 1] */
  readonly rowOffsets: Int32Array;
  /** The labels of all rows, end to end; undefined when predicting. */
  readonly labels?: Int32Array | Float32Array;
}

/** What encoding a row may depend on. */
export interface EncodeContext {
  readonly tokenizer: Tokenizer;
  /** Longest sequence, special tokens included. */
  readonly maxLength: number;
  /** Labels are wanted. */
  readonly training: boolean;
  /** Receives what is odd about rows, counted by kind. */
  readonly warnings: DataWarnings;
}

/** What the inputs of a batch may depend on besides the batch. */
export interface InputContext {
  readonly tokenizer: Tokenizer;
  readonly training: boolean;
  /** For random choices; differs for every batch, and is the same in a resumed run. */
  readonly seed: number;
}

/** A batch as the model takes it. */
export interface TaskInputs {
  /** The batch itself, or what a task made of it (masked tokens). */
  readonly batch: EncoderBatch;
  /** Empty: no loss of the head is wanted. */
  readonly labels: Labels;
  /** The tokens for which alone the head is asked when predicting. Default: for all that it gives. */
  readonly asked?: { readonly rows: Int32Array };
}

/** Scores of predictions. */
export interface Scores {
  readonly values: Readonly<Record<string, number>>;
  /** How often gold class i (row) was predicted as class j (column), where that makes sense. */
  readonly confusion?: { readonly names: readonly string[]; readonly counts: readonly (readonly number[])[] };
}

/** Defaults of a fine-tuning run. */
export interface TaskDefaults {
  readonly maxLength: number;
  readonly batchSize: number;
  readonly learningRate: number;
  readonly epochs: number;
}

/**
 * A task.
 *
 * @typeParam Row what its data consists of
 * @typeParam Settings what a trained model must know again (labels, thresholds): plain JSON, saved in `task.json`
 * @typeParam Prediction what `cloze predict` writes for a row: plain JSON
 * @typeParam Details see {@link Example}
 */
export interface Task<Row = unknown, Settings = unknown, Prediction = unknown, Details = unknown> {
  readonly name: string;
  /** One line for help texts. */
  readonly description: string;
  readonly defaults: TaskDefaults;
  /** What one may ask of the task when fine-tuning, each field optional and described; also the options of the command line. */
  readonly options: z.ZodObject;
  /** Checks saved settings. */
  readonly settings: z.ZodType<Settings>;

  /** What a model reads of a row, such as to learn a vocabulary from. */
  texts(row: Row): readonly string[];
  /** Reads rows from a file or another source, as they are asked for. */
  read(input: RowInput, options?: ReadTaskRowsOptions): Promise<TypedRows<Row>>;
  /**
   * Settings from the training rows and the options.
   *
   * @throws LABELS_ONE_CLASS and what else is wrong with the data
   */
  prepare(rows: readonly Row[], options: Readonly<Record<string, unknown>>, warnings: DataWarnings): Settings;
  /** The head: its architecture and its fields. */
  head(settings: Settings): HeadFields & { readonly architecture: string };
  /**
   * The settings that a model trained elsewhere implies by its head, or undefined when the head is another one. Also given
   * when going on from a fine-tuned model, so that labels keep their places.
   */
  fromHead?(head: HeadConfig): Settings | undefined;
  /**
   * Settings for training, where the model already has a head of this kind with its own labels: labels in the model's order,
   * or an error when they are others.
   *
   * @throws LABEL_MAP_MISMATCH
   */
  reconcile?(wanted: Settings, inModel: Settings): Settings;
  /** @throws ROW_UNLABELLED when labels are wanted and the row has none */
  encode(row: Row, settings: Settings, context: EncodeContext): Example<Details>;
  /** The same in steps, for rows of megabytes in a server. Absent: a row takes no time to speak of, or cannot be cut. */
  encodeSteps?(row: Row, settings: Settings, context: EncodeContext): Steps<Example<Details>>;
  /** What the model is given. */
  inputs(batch: TaskBatch, settings: Settings, context: InputContext): TaskInputs;
  /** The loss, where it is not the head's own. A scalar. */
  loss?(output: ModelOutput, batch: TaskBatch, settings: Settings): Tensor;
  /**
   * The numbers of each row that `predict` reads, copied out of the output; sequence by sequence, since the sequences of a
   * long row may come in several batches.
   */
  outputs(output: HeadOutput, batch: TaskBatch, settings: Settings, inputs: TaskInputs): Float32Array[];
  predict(row: Row, example: Example<Details>, outputs: Float32Array, settings: Settings): Prediction;
  /** The same in steps. */
  predictSteps?(row: Row, example: Example<Details>, outputs: Float32Array, settings: Settings): Steps<Prediction>;
  /** Chooses what is tuned on labelled predictions (thresholds); new settings. */
  tune?(rows: readonly Row[], predictions: readonly Prediction[], settings: Settings): Settings;
  /** A prediction under changed settings: what depends on thresholds is decided again. */
  decide?(prediction: Prediction, settings: Settings): Prediction;
  /**
   * Looks through rows that are to be scored, before anything is computed for them.
   *
   * @throws ROW_UNLABELLED, as `score` does
   */
  checkGold?(rows: readonly Row[]): void;
  /** @throws ROW_UNLABELLED */
  score(rows: readonly Row[], predictions: readonly Prediction[], settings: Settings, warnings: DataWarnings): Scores;
  /** The name of the score that decides which checkpoint is best; higher is better. */
  headline(settings: Settings): string;
  /** Scores on test rows of a simple method that learnt from the training rows: what a model has to beat. */
  baseline?(train: readonly Row[], test: readonly Row[], settings: Settings, warnings: DataWarnings): Scores;
  /** A class of rows that folds should hold in equal shares. */
  stratum?(row: Row): string;
}

/** Lets TypeScript infer the types of a task. */
export const defineTask = <Row, Settings, Prediction, Details = unknown>(
  task: Task<Row, Settings, Prediction, Details>,
): Task<Row, Settings, Prediction, Details> => task;
