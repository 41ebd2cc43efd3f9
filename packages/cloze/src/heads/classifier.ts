// What heads with labels share.
import {
  add,
  crossEntropy,
  div,
  dropout,
  linear,
  mean,
  mul,
  neg,
  type PlanBuilder,
  type PlanValue,
  softplus,
  sub,
  sum,
  type Tensor,
  tensor,
} from "@cloze/tensor";
import { z } from "zod";
import type { ParameterSpec } from "../encoder/part.js";
import { ClozeError } from "../errors.js";
import { checkCount, classLabels, type HeadContext } from "./head.js";
import { rowLoss } from "./masked-language.js";

/** What classifiers share. */
export const classifierFields = {
  labels: z.int().min(1).default(2),
  names: z.array(z.string()).readonly().optional(),
  /** Before the classifier. */
  dropout: z.number().min(0).lt(1).default(0.1),
  bias: z.boolean().default(true),
};

/** Throws unless there are as many names as labels. */
export function checkNames({ labels, names }: { labels: number; names?: readonly string[] }): void {
  if (names === undefined || names.length === labels) return;
  throw new ClozeError("CONFIG_INVALID", "A classifier has a name for each label", {
    expected: `${labels} names`,
    received: String(names.length),
  });
}

/** `classifier.weight` [labels, inputs] and its bias. */
export const classifierSpecs = (config: { labels: number; bias: boolean }, inputs: number): ParameterSpec[] => [
  { name: "classifier.weight", shape: [config.labels, inputs], initial: "normal" },
  ...(config.bias ? [{ name: "classifier.bias", shape: [config.labels], initial: "zeros" as const }] : []),
];

/** Dropout and the classifier. x: [rows, inputs] -> [rows, labels] */
export function classify(x: Tensor, config: { dropout: number; bias: boolean }, context: HeadContext): Tensor {
  const dropped = context.training ? dropout(x, config.dropout, context.seed) : x;
  const bias = config.bias ? context.parameter("classifier.bias") : undefined;
  return linear(dropped, context.parameter("classifier.weight"), bias);
}

/** The classifier in a plan. */
export const planClassifier = (
  x: PlanValue,
  config: { bias: boolean },
  parameter: (name: string) => Tensor,
  builder: PlanBuilder,
): PlanValue =>
  builder.linear(x, parameter("classifier.weight"), config.bias ? parameter("classifier.bias") : undefined, {
    weights: "float32",
  });

function checkWeights(weights: Float32Array, { shape }: Tensor): void {
  if (weights.length === shape[1]) return;
  throw new ClozeError("LABELS_SHAPE", "A classifier takes one weight for each class", {
    expected: String(shape[1]),
    received: String(weights.length),
  });
}

/** Mean cross-entropy of rows, weighted by the class that is right (as PyTorch: divided by the sum of the weights). */
export function classLoss(
  logits: Tensor,
  what: string,
  labels: Int32Array | Float32Array,
  weights?: Float32Array,
): Tensor {
  checkCount(what, labels, logits.shape[0]);
  const targets = classLabels(what, labels);
  if (weights === undefined) return rowLoss(logits, targets);
  checkWeights(weights, logits);
  const losses = crossEntropy(logits, tensor(targets), { reduction: "none" });
  const each = Float32Array.from(targets, (target) => (target === -100 ? 0 : weights[target]));
  const total = each.reduce((a, b) => a + b, 0);
  return div(sum(mul(losses, tensor(each))), total > 0 ? total : 1);
}

/** Mean binary cross-entropy, in which the terms of labels that are there are multiplied by their weight. */
export function weightedLabelLoss(logits: Tensor, targets: Tensor, weights: Float32Array): Tensor {
  checkWeights(weights, logits);
  const present = mul(mul(targets, tensor(weights)), softplus(neg(logits)));
  return mean(add(present, mul(sub(1, targets), softplus(logits))));
}
