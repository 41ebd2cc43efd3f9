import { z } from "zod";
import { readTaskRows, type TextRow } from "../data/readers/index.js";
import { ClozeError } from "../errors.js";
import { meanAbsoluteError, meanSquaredError, pearsonCorrelation, spearmanCorrelation } from "../metrics/regression.js";
import { atOnce, type Steps } from "../text/index.js";
import { encodeTextSteps } from "./encode-text.js";
import { rowsOfSequences } from "./outputs.js";
import { defineTask, type EncodeContext, type Example } from "./task.js";

const settingsSchema = z.strictObject({});
type Settings = z.output<typeof settingsSchema>;

export interface RegressionPrediction {
  readonly value: number;
}

function numberOf({ label, row }: TextRow): number {
  const value = Array.isArray(label) ? Number.NaN : Number(label ?? Number.NaN);
  if (Number.isFinite(value)) return value;
  throw new ClozeError("ROW_UNLABELLED", `Row ${row} has no number to learn`, {
    received: label === undefined ? "nothing" : String(label),
    remedy: "Name the column with --column label=…, or leave the row out.",
  });
}

function* encodeSteps(row: TextRow, _: Settings, context: EncodeContext): Steps<Example<undefined>> {
  const sequences = [yield* encodeTextSteps(row, context)];
  return { sequences, labels: context.training ? Float32Array.of(numberOf(row)) : undefined, details: undefined };
}

/** A number for a text or a pair of texts (semantic similarity): squared error, Spearman's correlation. */
export const regression = defineTask<TextRow, Settings, RegressionPrediction>({
  name: "regression",
  description: "a number for a text or a pair of texts",
  defaults: { maxLength: 128, batchSize: 32, learningRate: 5e-5, epochs: 3 },
  options: z.strictObject({}),
  settings: settingsSchema,
  texts: ({ text, pair }) => (pair === undefined ? [text] : [text, pair]),
  read: (input, options) => readTaskRows("regression", input, options),
  prepare(rows) {
    const values = new Set(rows.map(numberOf));
    if (values.size > 1) return {};
    throw new ClozeError("LABELS_ONE_CLASS", "All training rows have the same number, so there is nothing to learn", {
      expected: "at least two different numbers",
      received: [...values].join() || "none",
      remedy: "Check the label column.",
    });
  },
  head: () => ({ architecture: "ForSequenceClassification", labels: 1, problem: "regression" }),
  fromHead: (head) =>
    head.type === "sequence-classification" && head.labels === 1 && (head.problem ?? "regression") === "regression"
      ? {}
      : undefined,
  encode: (row, settings, context) => atOnce(encodeSteps(row, settings, context)),
  encodeSteps,
  inputs: (batch) => ({ batch, labels: { labels: batch.labels } }),
  outputs: ({ logits }, batch) => rowsOfSequences(logits, batch),
  predict: (_, __, [value]) => ({ value }),
  checkGold: (rows) => rows.forEach((row) => void numberOf(row)),
  score(rows, predictions) {
    const labels = rows.map(numberOf);
    const values = predictions.map(({ value }) => value);
    return {
      values: {
        spearman: spearmanCorrelation(labels, values),
        pearson: pearsonCorrelation(labels, values),
        meanSquaredError: meanSquaredError(labels, values),
        meanAbsoluteError: meanAbsoluteError(labels, values),
      },
    };
  },
  headline: () => "spearman",
});
