// One prediction for each sequence: a class, several labels at once, or numbers.
import { binaryCrossEntropy, dropout, meanSquaredError, type Tensor, tensor } from "@cloze/tensor";
import { z } from "zod";
import { ClozeError } from "../errors.js";
import { checkCount, classLabels, defineHead, dense, denseSpecs } from "./head.js";
import { rowLoss } from "./masked-language.js";
import { pool, poolerSpecs } from "./pooler.js";

/** What classifiers share. */
export const classifierFields = {
  labels: z.int().min(1).default(2),
  names: z.array(z.string()).readonly().optional(),
  /** Before the classifier. */
  dropout: z.number().min(0).lt(1).default(0.1),
};

/** Throws unless there are as many names as labels. */
export function checkNames({ labels, names }: { labels: number; names?: readonly string[] }): void {
  if (names === undefined || names.length === labels) return;
  throw new ClozeError("CONFIG_INVALID", "A classifier has a name for each label", {
    expected: `${labels} names`,
    received: String(names.length),
  });
}

/** The problem that labels make where the configuration leaves it open, as transformers decides it. */
function problemOf(labels: Int32Array | Float32Array, count: number): "regression" | "single" | "multi" {
  if (count === 1) return "regression";
  return labels instanceof Int32Array ? "single" : "multi";
}

/** logits: [sequences, labels] */
function lossOf(logits: Tensor, labels: Int32Array | Float32Array, problem: "regression" | "single" | "multi"): Tensor {
  if (problem === "single") {
    checkCount("Labels of sequences", labels, logits.shape[0]);
    return rowLoss(logits, classLabels("Labels of sequences", labels));
  }
  checkCount("Labels of sequences", labels, logits.size);
  const targets = tensor(Float32Array.from(labels), logits.shape);
  return problem === "regression" ? meanSquaredError(logits, targets) : binaryCrossEntropy(logits, targets);
}

/**
 * Sequence classification through the pooler. `problem`: "single" (one class; cross-entropy), "multi" (any number of
 * labels; binary cross-entropy) or "regression" (squared error); default by the number and kind of the labels.
 */
export const sequenceClassification = defineHead({
  schema: z.strictObject({
    type: z.literal("sequence-classification"),
    ...classifierFields,
    problem: z.enum(["regression", "single", "multi"]).optional(),
  }),
  bind(config, { hiddenSize }) {
    checkNames(config);
    return {
      parameters: [...poolerSpecs(hiddenSize), ...denseSpecs("classifier", config.labels, hiddenSize)],
      forward(hidden, batch, { labels }, context) {
        const pooled = pool(hidden, batch, context);
        const dropped = context.training ? dropout(pooled, config.dropout, context.seed) : pooled;
        const logits = dense("classifier", dropped, context);
        if (labels === undefined) return { logits, pooled };
        return { logits, pooled, loss: lossOf(logits, labels, config.problem ?? problemOf(labels, config.labels)) };
      },
    };
  },
});
