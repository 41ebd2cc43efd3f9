// Training of TILDE: which tokens a query's document has, and which a document's query.
import { add } from "@cloze/tensor";
import { type RowTrainingOptions, trainOnRows } from "../../training/train-on-rows.js";
import type { TrainResult } from "../../training/trainer.js";
import { tildeLogits, tildeLoss, tildeTokens } from "./tilde.js";
import type { Tilde } from "./tilde-folder.js";

/** A query and a document that answers it. */
export interface TildeRow {
  readonly query: string;
  readonly document: string;
}

export interface TrainTildeOptions extends RowTrainingOptions {
  /** Rows of a batch. Default 16. */
  batchSize?: number;
  /** Default 2e-5. */
  learningRate?: number;
}

/**
 * Trains the model in both directions (`tildeLoss`).
 *
 * @throws TRAINING_ROWS without rows, and what `train` throws
 */
export const trainTilde = (
  { model, tokenizer, settings }: Tilde,
  rows: readonly TildeRow[],
  options: TrainTildeOptions = {},
): Promise<TrainResult> =>
  trainOnRows(
    {
      parameters: model.parameters,
      rows,
      batchSize: 16,
      learningRate: 2e-5,
      weightDecay: 0.01,
      settings: { ...settings },
      loss(batch, seed) {
        const texts = { query: batch.map((i) => rows[i].query), document: batch.map((i) => rows[i].document) };
        const how = { maxLength: settings.maxLength, training: true, seed };
        const ways = [
          [texts.query, texts.document],
          [texts.document, texts.query],
        ] as const;
        const losses = ways.map(([from, to]) =>
          tildeLoss(
            tildeLogits(model, tokenizer, from, how),
            to.map((text) => tildeTokens(tokenizer, text)),
          ),
        );
        return add(losses[0], losses[1]);
      },
    },
    options,
  );
