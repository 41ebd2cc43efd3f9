// One prediction for each sequence: a class, several labels at once, or numbers.
import { binaryCrossEntropy, meanSquaredError, type Tensor, tensor } from "@cloze/tensor";
import { z } from "zod";
import {
  checkNames,
  classifierFields,
  classifierSpecs,
  classify,
  classLoss,
  planClassifier,
  weightedLabelLoss,
} from "./classifier.js";
import { checkCount, defineHead, type Labels } from "./head.js";
import { onnxDense } from "./head-onnx.js";
import { onnxPooler, planPooler, pool, pooledSize, poolerFields, poolerSpecs } from "./pooler.js";

type Problem = "regression" | "single" | "multi";

/** The problem that labels make where the configuration leaves it open, as transformers decides it. */
function problemOf(labels: Int32Array | Float32Array, count: number): Problem {
  if (count === 1) return "regression";
  return labels instanceof Int32Array ? "single" : "multi";
}

/** logits: [sequences, labels] */
function lossOf(
  logits: Tensor,
  labels: Int32Array | Float32Array,
  problem: Problem,
  classWeights: Labels["classWeights"],
): Tensor {
  if (problem === "single") return classLoss(logits, "Labels of sequences", labels, classWeights);
  checkCount("Labels of sequences", labels, logits.size);
  const targets = tensor(Float32Array.from(labels), logits.shape);
  if (problem === "regression") return meanSquaredError(logits, targets);
  return classWeights === undefined
    ? binaryCrossEntropy(logits, targets)
    : weightedLabelLoss(logits, targets, classWeights);
}

/**
 * Sequence classification. `problem`: "single" (one class; cross-entropy), "multi" (any number of labels; binary
 * cross-entropy) or "regression" (squared error); default by the number and kind of the labels.
 */
export const sequenceClassification = defineHead({
  schema: z.strictObject({
    type: z.literal("sequence-classification"),
    ...classifierFields,
    ...poolerFields,
    problem: z.enum(["regression", "single", "multi"]).optional(),
  }),
  bind(config, encoder) {
    checkNames(config);
    return {
      parameters: [...poolerSpecs(config, encoder), ...classifierSpecs(config, pooledSize(config, encoder))],
      forward(hidden, batch, { labels, classWeights }, context) {
        const pooled = pool(hidden, batch, config, encoder, context);
        const logits = classify(pooled, config, context);
        if (labels === undefined) return { logits, pooled };
        const problem = config.problem ?? problemOf(labels, config.labels);
        return { logits, pooled, loss: lossOf(logits, labels, problem, classWeights) };
      },
      plan(hidden, parameter, builder) {
        const pooled = planPooler(hidden, config, encoder, parameter, builder);
        return planClassifier(pooled, config, parameter, builder);
      },
      onnx(hidden, access) {
        const pooled = onnxPooler(hidden, config, encoder, access);
        return {
          logits: { value: onnxDense("classifier", pooled, access, config), per: "sequence", width: config.labels },
        };
      },
      globalTokens({ ids, offsets }) {
        const first = new Uint8Array(ids.length);
        for (const start of offsets.subarray(0, -1)) first[start] = 1;
        return first;
      },
    };
  },
});
