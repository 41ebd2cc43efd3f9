// Which of several answers is right.
import { z } from "zod";
import { type ChoiceRow, readTaskRows } from "../data/readers/index.js";
import { ClozeError } from "../errors.js";
import { accuracy } from "../metrics/classification.js";
import { encodeText } from "./encode-text.js";
import { placeOfLargest, rowsOfSequences, softmaxOf } from "./outputs.js";
import { defineTask } from "./task.js";

function choiceOf({ label, row, choices }: ChoiceRow): number {
  if (label !== undefined && label >= 0 && label < choices.length) return label;
  throw new ClozeError(label === undefined ? "ROW_UNLABELLED" : "LABEL_UNKNOWN", `Row ${row} names no right choice`, {
    expected: `0 to ${choices.length - 1}`,
    received: String(label ?? "nothing"),
    remedy: "Name the column with --column label=…, and give --label-base 1 where labels count from 1.",
  });
}

export interface ChoicePrediction {
  readonly choice: number;
  readonly text: string;
  readonly score: number;
  readonly scores: readonly number[];
}

const settingsSchema = z.strictObject({});

/** Multiple choice: each choice is read with its question, and the likeliest one wins. */
export const multipleChoice = defineTask<ChoiceRow, z.output<typeof settingsSchema>, ChoicePrediction>({
  name: "multiple-choice",
  description: "which of several answers is right",
  defaults: { maxLength: 128, batchSize: 16, learningRate: 5e-5, epochs: 3 },
  options: z.strictObject({}),
  settings: settingsSchema,
  texts: ({ context, question, choices }) => [context, question, ...choices].filter((text) => text !== undefined),
  read: (input, options) => readTaskRows("multiple-choice", input, options),
  prepare: () => ({}),
  head: () => ({ architecture: "ForMultipleChoice" }),
  fromHead: (head) => (head.type === "multiple-choice" ? {} : undefined),
  encode({ context: given, question, choices, row, label }, _, context) {
    const text = [given, question].filter((part) => part !== undefined && part !== "").join(" ");
    return {
      sequences: choices.map((pair) => encodeText({ text, pair, row }, context)),
      labels: context.training ? Int32Array.of(choiceOf({ choices, row, label })) : undefined,
      details: undefined,
    };
  },
  inputs: (batch) => ({
    batch,
    labels: batch.labels === undefined ? {} : { labels: batch.labels, groups: batch.rowOffsets },
  }),
  outputs: ({ logits }, batch) => rowsOfSequences(logits, batch),
  predict({ choices }, _, logits) {
    const scores = softmaxOf(logits);
    const choice = placeOfLargest(scores);
    return { choice, text: choices[choice], score: scores[choice], scores };
  },
  checkGold: (rows) => rows.forEach((row) => void choiceOf(row)),
  score: (rows, predictions) => ({
    values: {
      accuracy: accuracy(
        rows.map(choiceOf),
        predictions.map(({ choice }) => choice),
      ),
    },
  }),
  headline: () => "accuracy",
});
