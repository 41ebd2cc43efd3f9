// The cross-entropy of a linear layer's outputs without a matrix of all of them: for softmaxes over a vocabulary.
import { grad } from "./autograd.js";
import { backend } from "./backend/index.js";
import { ClozeError } from "./errors.js";
import { enableGrad, isComposing, noGrad, record, wantsGrad } from "./graph.js";
import { scope } from "./memory.js";
import { copyInto } from "./ops/copy.js";
import { mul, mulInPlace } from "./ops/elementwise.js";
import { checkLayer, linear } from "./ops/linear.js";
import { type CrossEntropyOptions, checkTargets, crossEntropy } from "./ops/loss.js";
import { product } from "./ops/matmul.js";
import { concat, contiguous, reshape, slice, transpose } from "./ops/movement.js";
import { sum } from "./ops/reduce.js";
import { checkShape, formatShape } from "./shape.js";
import { empty, full, type Tensor, tensor } from "./tensor.js";

/** What is made of the cross-entropies of rows before they are added up. */
export interface RowLoss {
  /** Each row of the result depends on that row alone. losses: [rows], beside: [rows, …] -> [rows] */
  readonly of: (losses: Tensor, ...beside: Tensor[]) => Tensor;
  /** What it reads beside the losses, a row for each; gradients go there too. Default: nothing. */
  readonly beside?: readonly Tensor[];
}

export interface LinearCrossEntropyOptions extends Omit<CrossEntropyOptions, "reduction"> {
  /** Default "mean": over the rows that count. */
  reduction?: "mean" | "sum";
  /** Default: the losses as they are. */
  rowLoss?: RowLoss;
  /** Rows whose logits are there at the same time, 1 or more. Default 512, as fast as any; fewer take less memory. */
  chunkRows?: number;
}

/** What a call is about, checked. */
interface Call {
  readonly inputs: readonly [hidden: Tensor, weight: Tensor, bias: Tensor | undefined, ...beside: Tensor[]];
  readonly targets: Tensor;
  /** 1 for rows that count, 0 for others; undefined where all count. [rows] */
  readonly counts: Float32Array | undefined;
  /** What the sum over rows is multiplied by. */
  readonly scale: number;
  readonly options: LinearCrossEntropyOptions;
}

function rowLosses(losses: Tensor, beside: readonly Tensor[], counts: Float32Array | undefined, of: RowLoss["of"]) {
  const rows = of(losses, ...beside);
  checkShape(
    rows.rank === 1 && rows.shape[0] === losses.shape[0],
    "linearCrossEntropy",
    `a loss of each row ${formatShape(losses.shape)}`,
    formatShape(rows.shape),
  );
  return counts === undefined ? rows : mul(rows, tensor(counts, losses.shape, losses.dtype));
}

/** The definition: all logits at once. */
function inOnePiece({ inputs, targets, counts, scale, options }: Call): Tensor {
  const [hidden, weight, bias, ...beside] = inputs;
  const { ignoreIndex, labelSmoothing, reduction, rowLoss } = options;
  const logits = linear(hidden, weight, bias);
  // A gradient that all rows share is multiplied in on the way; one for each row would be another pass over all logits.
  if (rowLoss === undefined) return crossEntropy(logits, targets, { ignoreIndex, labelSmoothing, reduction });
  const losses = crossEntropy(logits, targets, { ignoreIndex, labelSmoothing, reduction: "none" });
  return mul(sum(rowLosses(losses, beside, counts, rowLoss.of)), scale);
}

/** The sum of the rows' losses by chunks, and the gradients of those inputs that want one. */
function byChunks({ inputs, targets, counts, scale, options }: Call, chunk: number, wanted: readonly boolean[]) {
  const [hidden, weight, bias, ...beside] = inputs;
  const { ignoreIndex = -100, labelSmoothing = 0, rowLoss } = options;
  const [rows, classes] = [hidden.shape[0], weight.shape[0]];
  const gradients = inputs.map((input, i) => (input && wanted[i] ? empty(input.shape, input.dtype) : undefined));
  const [gHidden, gWeight, gBias, ...gBeside] = gradients;
  const losses = empty([rows], hidden.dtype);
  const logSums = empty([rows], hidden.dtype);
  const values: Tensor[] = [];
  const { kernels } = backend();
  for (let start = 0; start < rows; start += chunk) {
    const range = { start, end: Math.min(rows, start + chunk) };
    const part = (x: Tensor) => slice(x, [range]);
    const count = range.end - start;
    const made = scope(() => {
      const x = part(hidden);
      const logits = linear(x, weight, bias);
      const [list, loss, sums] = [targets, losses, logSums].map((all) => part(all).pointer);
      kernels.crossEntropyF32(logits.pointer, list, loss, sums, count, classes, ignoreIndex, labelSmoothing);
      let value: Tensor | undefined;
      let byRow: Tensor | undefined; // The gradient of each row's cross-entropy, where they differ.
      if (rowLoss !== undefined) {
        const leaves = [losses, ...beside].map((all) => part(all).detach().requireGrad());
        const [own, ...others] = leaves;
        const seen = counts?.subarray(start, range.end);
        value = enableGrad(() => rowLosses(own, others, seen, rowLoss.of));
        if (wanted.includes(true)) {
          const ofLeaves = grad([value], leaves, { gradients: [full([count], scale, losses.dtype)] });
          byRow = reshape(contiguous(ofLeaves[0]), [count, 1]);
          gBeside.forEach((all, i) => {
            if (all !== undefined) copyInto(part(all), ofLeaves[i + 1]);
          });
        }
        value = value.detach();
      }
      if (gHidden === undefined && gWeight === undefined && gBias === undefined) return value;
      // From here on the chunk of logits holds their gradient.
      const factor = byRow === undefined ? scale : 1;
      const to = logits.pointer;
      kernels.crossEntropyBackwardF32(to, list, sums, to, count, classes, ignoreIndex, labelSmoothing, factor);
      const before = start === 0 ? 0 : 1;
      if (gHidden !== undefined) {
        const into = part(gHidden);
        product(logits, weight, into, 0);
        if (byRow !== undefined) mulInPlace(into, byRow);
      }
      // A row's factor goes with the shorter side of the products.
      if (gWeight !== undefined) {
        product(transpose(logits), byRow === undefined ? x : mul(x, byRow), gWeight, before);
      }
      if (gBias !== undefined) {
        const ones = byRow ?? full([count, 1], 1, logits.dtype);
        product(transpose(ones), logits, reshape(gBias, [1, classes]), before);
      }
      return value;
    });
    if (made !== undefined) values.push(made);
  }
  return { total: mul(sum(rowLoss === undefined ? losses : concat(values, 0)), scale), gradients };
}

/**
 * crossEntropy(linear(hidden, weight, bias), targets), one number, for many rows and classes: logits are computed, and
 * become their own gradient, chunk by chunk, so that [rows, classes] is never there as a whole. With gradients the forward
 * pass computes those too; they take the memory of `hidden`, `weight` and `bias` until the backward pass. No more rows than
 * a chunk has run as the two operations.
 *
 * @param hidden [rows, in]
 * @param weight [classes, in]
 * @param bias [classes] or undefined for none
 * @param targets int32 [rows]
 * @throws SHAPE_MISMATCH, TARGET_OUT_OF_RANGE, INVALID_OPTION
 * @example
 * const loss = linearCrossEntropy(hidden, wordTable, bias, tensor(ids));
 */
export function linearCrossEntropy(
  hidden: Tensor,
  weight: Tensor,
  bias: Tensor | undefined,
  targets: Tensor,
  options: LinearCrossEntropyOptions = {},
): Tensor {
  const name = "linearCrossEntropy";
  const { ignoreIndex = -100, reduction = "mean", rowLoss, chunkRows = 512 } = options;
  if (!Number.isInteger(chunkRows) || chunkRows < 1) {
    throw new ClozeError("INVALID_OPTION", "linearCrossEntropy: chunkRows is no number of rows", {
      expected: "a whole number of at least 1",
      received: String(chunkRows),
      remedy: "Leave chunkRows out (512), or give fewer rows to take less memory.",
    });
  }
  checkShape(hidden.rank === 2, name, "hidden [rows, in]", formatShape(hidden.shape));
  checkLayer(name, [hidden, weight, bias], { input: "hidden", rows: "rows", outputs: "classes" });
  const [rows, width] = hidden.shape;
  const classes = weight.shape[0];
  checkShape(
    targets.dtype === "int32" && targets.rank === 1 && targets.shape[0] === rows,
    name,
    `int32 targets [${rows}]`,
    `${targets.dtype} ${formatShape(targets.shape)}`,
  );
  const beside = rowLoss?.beside ?? [];
  for (const { rank, shape } of beside) {
    checkShape(rank >= 1 && shape[0] === rows, name, `${rows} rows beside the losses`, formatShape(shape));
  }
  const wanted = targets.toTypedArray() as Int32Array;
  const counted = checkTargets(wanted, classes, ignoreIndex);
  const call: Call = {
    inputs: [hidden, weight, bias, ...beside],
    targets,
    counts: counted === rows ? undefined : Float32Array.from(wanted, (target) => Number(target !== ignoreIndex)),
    scale: reduction === "mean" ? 1 / counted : 1,
    options,
  };
  if (isComposing() || rows <= chunkRows || width === 0) return inOnePiece(call);
  const given = [hidden, weight, ...(bias === undefined ? [] : [bias]), ...beside].map(contiguous);
  const [source, matrix, ...others] = given;
  const shift = bias === undefined ? undefined : others[0];
  const inputs: Call["inputs"] = [source, matrix, shift, ...(shift === undefined ? others : others.slice(1))];
  const wants = wantsGrad(given);
  const asked = given.map(({ requiresGrad }) => requiresGrad);
  const { total, gradients } = noGrad(() =>
    // Chunks of about the same size, in whole tiles of the matrix kernels.
    byChunks(
      { ...call, inputs, targets: contiguous(targets) },
      Math.min(chunkRows, Math.ceil(rows / Math.ceil(rows / chunkRows) / 32) * 32),
      inputs.map((input) => wants && input?.requiresGrad === true),
    ),
  );
  const kept = gradients.filter((gradient) => gradient !== undefined);
  const [output] = record({
    name,
    inputs: given,
    outputs: [total],
    save: kept,
    differentiable: false,
    backward([g], { saved }) {
      if (g === undefined) return [];
      const factor = g.item();
      let next = 0;
      return asked.map((one) => {
        if (!one) return undefined;
        const gradient = saved[next++];
        return factor === 1 ? gradient : mul(gradient, factor);
      });
    },
  });
  for (const gradient of kept) gradient.dispose();
  return output;
}
