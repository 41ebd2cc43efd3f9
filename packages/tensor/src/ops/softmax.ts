// Softmax along the last axis.
import { backend } from "../backend/index.js";
import { isComposing, record } from "../graph.js";
import { checkShape, formatShape } from "../shape.js";
import { empty, type Tensor } from "../tensor.js";
import { add, div, exp, log, sub } from "./elementwise.js";
import { contiguous } from "./movement.js";
import { max, sum } from "./reduce.js";

/** log(sum(exp(x))) over axes (default: the last), without overflow. */
export function logSumExp(x: Tensor, axes: readonly number[] = [-1], keepDims = false): Tensor {
  const most = max(x.detach(), axes, true);
  const total = log(sum(exp(sub(x, most)), axes, true));
  const y = add(total, most);
  return keepDims ? y : sum(y, axes); // The axes have size 1.
}

function fused(x: Tensor, logarithm: boolean): Tensor {
  const name = logarithm ? "logSoftmax" : "softmax";
  checkShape(x.rank >= 1, name, "at least one axis", formatShape(x.shape));
  const source = contiguous(x);
  const width = x.shape[x.rank - 1];
  const rows = width === 0 ? 0 : x.size / width;
  const y = empty(x.shape, x.dtype);
  if (y.size > 0) backend().kernels.softmaxF32(source.pointer, y.pointer, rows, width, Number(logarithm));
  return record({
    name,
    inputs: [source],
    outputs: [y],
    save: [y],
    differentiable: false,
    backward([g], { saved }) {
      if (g === undefined) return [];
      const gradient = contiguous(g);
      const gx = empty(x.shape, x.dtype);
      const { kernels } = backend();
      if (gx.size > 0) {
        kernels.softmaxBackwardF32(saved[0].pointer, gradient.pointer, gx.pointer, rows, width, Number(logarithm));
      }
      return [gx];
    },
  })[0];
}

/** exp(x) / sum(exp(x)) along the last axis. */
export function softmax(x: Tensor): Tensor {
  if (!isComposing()) return fused(x, false);
  const shifted = exp(sub(x, max(x.detach(), [-1], true)));
  return div(shifted, sum(shifted, [-1], true));
}

/** log(softmax(x)) along the last axis, without losing small probabilities. */
export const logSoftmax = (x: Tensor): Tensor => (isComposing() ? sub(x, logSumExp(x, [-1], true)) : fused(x, true));
