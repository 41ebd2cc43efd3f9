// Losses of predictions.
import { backend } from "../backend/index.js";
import { ClozeError } from "../errors.js";
import { isComposing, record } from "../graph.js";
import { checkShape, formatShape, sameShape } from "../shape.js";
import { empty, type Tensor, tensor } from "../tensor.js";
import { add, mul, mulInPlace, neg, softplus, sub } from "./elementwise.js";
import { contiguous, reshape } from "./movement.js";
import { mean, sum } from "./reduce.js";
import { logSoftmax } from "./softmax.js";

export type Reduction = "mean" | "sum" | "none";

export interface CrossEntropyOptions {
  /** Rows with this target cost nothing and do not count. Default -100. */
  ignoreIndex?: number;
  /** This share of the target's probability goes to all classes alike. Default 0. */
  labelSmoothing?: number;
  /** Default "mean": over the rows that count. */
  reduction?: Reduction;
}

/** How many rows count. @throws TARGET_OUT_OF_RANGE */
export function checkTargets(targets: Int32Array, classes: number, ignore: number): number {
  let counted = 0;
  for (const target of targets) {
    if (target === ignore) continue;
    counted++;
    if (target >= 0 && target < classes) continue;
    throw new ClozeError("TARGET_OUT_OF_RANGE", "crossEntropy: a target is no class", {
      expected: `0 to ${classes - 1}, or ${ignore} to ignore the row`,
      received: String(target),
    });
  }
  return counted;
}

function reduceLosses(losses: Tensor, counted: number, reduction: Reduction): Tensor {
  if (reduction === "none") return losses;
  const total = sum(losses);
  return reduction === "sum" ? total : mul(total, 1 / counted);
}

/** -sum(p log softmax(logits)) of each row. */
const rowLosses = (logits: Tensor, targets: Tensor): Tensor => neg(sum(mul(targets, logSoftmax(logits)), [1]));

/** For targets that are distributions. */
function softCrossEntropy(logits: Tensor, targets: Tensor, options: CrossEntropyOptions): Tensor {
  const { labelSmoothing = 0, reduction = "mean" } = options;
  const classes = logits.shape[1];
  const smooth =
    labelSmoothing === 0 ? targets : add(mul(targets, 1 - labelSmoothing), labelSmoothing / Math.max(1, classes));
  return reduceLosses(rowLosses(logits, smooth), logits.shape[0], reduction);
}

function composedCrossEntropy(logits: Tensor, targets: Int32Array, counted: number, options: CrossEntropyOptions) {
  const { ignoreIndex = -100, labelSmoothing = 0, reduction = "mean" } = options;
  const [rows, classes] = logits.shape;
  const wanted = new Float32Array(rows * classes);
  targets.forEach((target, row) => {
    if (target === ignoreIndex) return;
    const start = row * classes;
    for (let c = 0; c < classes; c++) wanted[start + c] = labelSmoothing / classes;
    wanted[start + target] += 1 - labelSmoothing;
  });
  return reduceLosses(rowLosses(logits, tensor(wanted, [rows, classes], logits.dtype)), counted, reduction);
}

/**
 * -log softmax(logits)[target], averaged over the rows that are not ignored.
 *
 * @param logits [rows, classes]
 * @param targets int32 [rows], or probabilities [rows, classes]
 * @throws SHAPE_MISMATCH, TARGET_OUT_OF_RANGE
 * @example
 * const loss = crossEntropy(logits, tensor(Int32Array.of(3, -100, 0)));
 */
export function crossEntropy(logits: Tensor, targets: Tensor, options: CrossEntropyOptions = {}): Tensor {
  const { ignoreIndex = -100, labelSmoothing = 0, reduction = "mean" } = options;
  checkShape(logits.rank === 2, "crossEntropy", "logits [rows, classes]", formatShape(logits.shape));
  const [rows, classes] = logits.shape;
  if (targets.dtype !== "int32") {
    checkShape(
      sameShape(targets.shape, logits.shape),
      "crossEntropy",
      `probabilities ${formatShape(logits.shape)}`,
      formatShape(targets.shape),
    );
    return softCrossEntropy(logits, targets, options);
  }
  checkShape(
    targets.rank === 1 && targets.shape[0] === rows,
    "crossEntropy",
    `${rows} targets`,
    formatShape(targets.shape),
  );
  const wanted = targets.toTypedArray() as Int32Array;
  const counted = checkTargets(wanted, classes, ignoreIndex);
  if (isComposing()) return composedCrossEntropy(logits, wanted, counted, options);
  const source = contiguous(logits);
  const list = contiguous(targets);
  const losses = empty([rows], logits.dtype);
  const logSums = empty([rows], logits.dtype);
  const { kernels } = backend();
  if (rows > 0) {
    kernels.crossEntropyF32(
      source.pointer,
      list.pointer,
      losses.pointer,
      logSums.pointer,
      rows,
      classes,
      ignoreIndex,
      labelSmoothing,
    );
  }
  const scale = reduction === "mean" ? 1 / counted : 1;
  const output = reduction === "none" ? losses : mul(sum(losses), scale);
  const [result] = record({
    name: "crossEntropy",
    inputs: [source],
    outputs: [output],
    save: [source, list, logSums],
    differentiable: false,
    backward([g], { saved }) {
      if (g === undefined) return [];
      const [x, labels, sums] = saved;
      const gx = empty([rows, classes], logits.dtype);
      // A single number may be folded into the pass; a gradient per row is multiplied in afterwards.
      const factor = reduction === "none" ? 1 : g.item() * scale;
      if (gx.size > 0) {
        backend().kernels.crossEntropyBackwardF32(
          x.pointer,
          labels.pointer,
          sums.pointer,
          gx.pointer,
          rows,
          classes,
          ignoreIndex,
          labelSmoothing,
          factor,
        );
      }
      if (reduction === "none") mulInPlace(gx, reshape(g, [rows, 1]));
      return [gx];
    },
  });
  if (output !== losses) losses.dispose();
  logSums.dispose();
  return result;
}

function sameAs(operation: string, predictions: Tensor, targets: Tensor): void {
  checkShape(
    sameShape(predictions.shape, targets.shape),
    operation,
    `targets ${formatShape(predictions.shape)}`,
    formatShape(targets.shape),
  );
}

const reduced = (losses: Tensor, reduction: Reduction): Tensor =>
  reduction === "none" ? losses : reduction === "sum" ? sum(losses) : mean(losses);

/** (prediction - target)², averaged over all elements. */
export function meanSquaredError(predictions: Tensor, targets: Tensor, reduction: Reduction = "mean"): Tensor {
  sameAs("meanSquaredError", predictions, targets);
  const difference = sub(predictions, targets);
  return reduced(mul(difference, difference), reduction);
}

/**
 * -(t log sigmoid(x) + (1 - t) log(1 - sigmoid(x))), averaged over all elements; without overflow.
 *
 * @param logits any shape
 * @param targets the same shape, from 0 to 1
 */
export function binaryCrossEntropy(logits: Tensor, targets: Tensor, reduction: Reduction = "mean"): Tensor {
  sameAs("binaryCrossEntropy", logits, targets);
  return reduced(sub(softplus(logits), mul(logits, targets)), reduction);
}
