// Reductions over axes.

import type { ReduceName } from "../backend/contract/reduce.js";
import { reduceCode } from "../backend/contract/reduce.js";
import { backend } from "../backend/index.js";
import { record } from "../graph.js";
import { elementCount, normalizeAxis } from "../shape.js";
import { empty, type Tensor, tensor } from "../tensor.js";
import { div, equal, mul, sub } from "./elementwise.js";
import { broadcastTo, contiguous, permute, reshape } from "./movement.js";

function reduceAxes(name: ReduceName, x: Tensor, axes: readonly number[]): Tensor {
  // The reduced axes together, in the middle: at the end if they are the last, so that memory is read in order.
  const kept = x.shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis));
  const sorted = [...axes].sort((a, b) => a - b);
  const adjacent = sorted.every((axis, i) => i === 0 || axis === sorted[i - 1] + 1);
  const before = adjacent ? kept.filter((axis) => axis < sorted[0]) : kept;
  const after = kept.filter((axis) => !before.includes(axis));
  const source = contiguous(permute(x.detach(), [...before, ...sorted, ...after]));
  const size = (list: readonly number[]) => elementCount(list.map((axis) => x.shape[axis]));
  const y = empty(
    kept.map((axis) => x.shape[axis]),
    x.dtype,
  );
  if (y.size > 0) {
    backend().kernels.reduceF32(reduceCode[name], source.pointer, y.pointer, size(before), size(sorted), size(after));
  }
  source.dispose();
  return y;
}

function reduction(
  name: ReduceName,
  x: Tensor,
  axes: readonly number[] | undefined,
  keepDims: boolean,
  gradient: (g: Tensor, x: Tensor, y: Tensor) => Tensor,
): Tensor {
  const list = [...new Set((axes ?? x.shape.map((_, axis) => axis)).map((axis) => normalizeAxis(name, axis, x.rank)))];
  const keptShape = x.shape.map((size, axis) => (list.includes(axis) ? 1 : size));
  const result = list.length === 0 ? contiguous(x.view()) : reduceAxes(name, x, list);
  const [y] = record({
    name,
    inputs: [x],
    outputs: [result],
    save: name === "sum" ? [] : [x, result],
    backward: ([g], { saved }) => [
      g && gradient(reshape(g, keptShape), saved[0] ?? x, name === "sum" ? g : reshape(saved[1], keptShape)),
    ],
  });
  return keepDims ? reshape(y, keptShape) : y;
}

/** Sums over axes (default all). Sums of nothing are 0. */
export function sum(x: Tensor, axes?: readonly number[], keepDims = false): Tensor {
  const { shape } = x;
  return reduction("sum", x, axes, keepDims, (g) => broadcastTo(g, shape));
}

/** The largest over axes (default all); equal largest ones share the gradient. */
export const max = (x: Tensor, axes?: readonly number[], keepDims = false): Tensor =>
  reduction("max", x, axes, keepDims, extremeGradient(axes));

/** The smallest over axes (default all). */
export const min = (x: Tensor, axes?: readonly number[], keepDims = false): Tensor =>
  reduction("min", x, axes, keepDims, extremeGradient(axes));

const extremeGradient =
  (axes?: readonly number[]) =>
  (g: Tensor, x: Tensor, y: Tensor): Tensor => {
    const hit = equal(x, y);
    return mul(div(hit, sum(hit, axes, true)), g);
  };

/** The mean over axes (default all). */
export function mean(x: Tensor, axes?: readonly number[], keepDims = false): Tensor {
  const list = axes ?? x.shape.map((_, axis) => axis);
  const count = elementCount(list.map((axis) => x.shape[normalizeAxis("mean", axis, x.rank)]));
  return mul(sum(x, axes, keepDims), 1 / count);
}

/** The variance over axes (default all), divided by the count (not count - 1). */
export function variance(x: Tensor, axes?: readonly number[], keepDims = false): Tensor {
  const centred = sub(x, mean(x, axes, true));
  return mean(mul(centred, centred), axes, keepDims);
}

/** Places of the largest element along the last axis, int32; the first of equal ones. */
export function argmax(x: Tensor): Tensor {
  const width = x.shape[x.rank - 1] ?? 1;
  const data = x.toTypedArray();
  const rows = width === 0 ? 0 : data.length / width;
  const places = new Int32Array(rows);
  for (let row = 0; row < rows; row++) {
    let best = 0;
    for (let i = 1; i < width; i++) if (data[row * width + i] > data[row * width + best]) best = i;
    places[row] = best;
  }
  return tensor(places, x.shape.slice(0, -1));
}

/** The k largest of each row, in falling order, and where they stood. x: [rows, width] -> [rows, k] each. */
export function topK(x: Tensor, k: number): { values: Tensor; indices: Tensor } {
  const width = x.shape[x.rank - 1] ?? 1;
  const count = Math.min(k, width);
  const data = x.toTypedArray();
  const rows = width === 0 ? 0 : data.length / width;
  const values = new Float32Array(rows * count);
  const indices = new Int32Array(rows * count);
  for (let row = 0; row < rows; row++) {
    const best: number[] = [];
    let floor = Number.NEGATIVE_INFINITY;
    for (let i = 0; i < width; i++) {
      const value = data[row * width + i];
      if (best.length === count && !(value > floor)) continue;
      let place = best.length;
      while (place > 0 && value > data[row * width + best[place - 1]]) place--;
      best.splice(place, 0, i);
      if (best.length > count) best.pop();
      floor = data[row * width + best[best.length - 1]];
    }
    best.forEach((index, place) => {
      values[row * count + place] = data[row * width + index];
      indices[row * count + place] = index;
    });
  }
  const shape = [...x.shape.slice(0, -1), count];
  return { values: tensor(values, shape, x.dtype), indices: tensor(indices, shape) };
}
