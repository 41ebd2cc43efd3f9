// What a part of a search pipeline that learns from a test collection's judgements is. A new one is a file here and a line in
// `index.ts`.
import type { z } from "zod";
import type { Model } from "../../families/model.js";
import type { Tokenizer } from "../../text/index.js";
import type { RowTrainingOptions } from "../../training/train-on-rows.js";
import type { TrainResult } from "../../training/trainer.js";

/** A document's title, which may be empty, and text. */
export interface JudgedDocument {
  readonly title: string;
  readonly text: string;
}

/** A query with documents that answer it, and with some that were found for it and do not. */
export interface JudgedQuery {
  readonly query: string;
  readonly relevant: readonly JudgedDocument[];
  readonly others: readonly JudgedDocument[];
}

/** A part, ready to learn. It owns its model. */
export interface TrainedPart {
  /** Rows that it makes of judgements. */
  rows(queries: readonly JudgedQuery[]): number;
  /** @throws TRAINING_ROWS where the judgements make no rows, and what `train` throws */
  train(queries: readonly JudgedQuery[], options: RowTrainingOptions): Promise<TrainResult>;
  /** @throws FILE_WRITE, DISK_FULL */
  save(folder: string): void;
  dispose(): void;
}

/** A kind of part. */
export interface TrainedPartKind {
  readonly type: string;
  /** One line for help and tables. */
  readonly description: string;
  /** Whether it reads documents that do not answer the query. */
  readonly readsOthers: boolean;
  /** Settings with their defaults and descriptions. */
  readonly options: z.ZodObject;
  /** Whether a folder holds such a part already, with which training can go on. */
  recognises(folder: string): boolean;
  /** Opens one. @throws what its folder's loader throws */
  load(folder: string): TrainedPart;
  /** Makes a new one. @param seed of what is new beside the model */
  create(model: Model, tokenizer: Tokenizer, settings: Readonly<Record<string, unknown>>, seed: number): TrainedPart;
}

/** Ties a kind to its settings' types. */
export const defineTrainedPart = <Schema extends z.ZodObject>(
  kind: Omit<TrainedPartKind, "options" | "create"> & {
    options: Schema;
    create(model: Model, tokenizer: Tokenizer, settings: z.output<Schema>, seed: number): TrainedPart;
  },
): TrainedPartKind => kind as unknown as TrainedPartKind;
