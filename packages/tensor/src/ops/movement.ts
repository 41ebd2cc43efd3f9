// Views and copies that move elements without computing. Most share storage; only concat, pad and contiguous copy.
import { ClozeError } from "../errors.js";
import { record } from "../graph.js";
import type { Shape } from "../shape.js";
import { checkShape, elementCount, formatShape, normalizeAxis, sameShape, validateShape } from "../shape.js";
import { contiguousCopy, empty, Tensor, zeros } from "../tensor.js";
import { sum } from "./reduce.js";

const one = (outputs: Tensor[]): Tensor => outputs[0];

function viewOf(x: Tensor, shape: Shape, strides?: readonly number[], offset = x.offset): Tensor {
  x.assertLive();
  return new Tensor({ storage: x.storage.retain(), shape, strides, offset });
}

/** The same elements in row-major order; the tensor itself (as another handle) where they already are. */
export function contiguous(x: Tensor): Tensor {
  if (x.contiguous) return x;
  return one(record({ name: "contiguous", inputs: [x], outputs: [contiguousCopy(x)], backward: ([g]) => [g] }));
}

/**
 * The same elements with another shape; one size may be -1, to be computed.
 * @throws SHAPE_MISMATCH when the number of elements differs
 */
export function reshape(x: Tensor, shape: Shape): Tensor {
  const known = shape.reduce((product, size) => (size === -1 ? product : product * size), 1);
  const wanted = shape.map((size) => (size === -1 ? x.size / Math.max(1, known) : size));
  validateShape("reshape", wanted);
  checkShape(
    elementCount(wanted) === x.size && shape.filter((size) => size === -1).length <= 1,
    "reshape",
    `${x.size} elements`,
    formatShape(shape),
  );
  const source = contiguous(x);
  const before = x.shape;
  return one(
    record({
      name: "reshape",
      inputs: [source],
      outputs: [viewOf(source, wanted)],
      backward: ([g]) => [g && reshape(g, before)],
    }),
  );
}

/** Reorders the axes: axis i of the result is axis `axes[i]` of x. A view. */
export function permute(x: Tensor, axes: readonly number[]): Tensor {
  const order = axes.map((axis) => normalizeAxis("permute", axis, x.rank));
  checkShape(
    order.length === x.rank && new Set(order).size === x.rank,
    "permute",
    `each of ${x.rank} axes once`,
    formatShape(axes),
  );
  const inverse = order.map((_, axis) => order.indexOf(axis));
  const output = viewOf(
    x,
    order.map((axis) => x.shape[axis]),
    order.map((axis) => x.strides[axis]),
  );
  return one(
    record({ name: "permute", inputs: [x], outputs: [output], backward: ([g]) => [g && permute(g, inverse)] }),
  );
}

/** Swaps the last two axes. A view. */
export function transpose(x: Tensor): Tensor {
  checkShape(x.rank >= 2, "transpose", "at least two axes", formatShape(x.shape));
  const axes = x.shape.map((_, axis) => axis);
  return permute(x, [...axes.slice(0, -2), x.rank - 1, x.rank - 2]);
}

/** Part of an axis: from `start` up to `end` (not included), each counting from the end when negative. */
export interface AxisRange {
  start?: number;
  end?: number;
}

/** A part of each axis; axes not named stay whole. A view. */
export function slice(x: Tensor, ranges: readonly AxisRange[]): Tensor {
  checkShape(ranges.length <= x.rank, "slice", `at most ${x.rank} ranges`, String(ranges.length));
  const shape = [...x.shape];
  let offset = x.offset;
  const padding: [number, number][] = x.shape.map(() => [0, 0]);
  ranges.forEach(({ start = 0, end = x.shape[0] }, axis) => {
    const size = x.shape[axis];
    const bound = (value: number) => Math.min(size, Math.max(0, value < 0 ? value + size : value));
    const first = bound(start);
    const last = Math.max(first, bound(ranges[axis].end === undefined ? size : end));
    shape[axis] = last - first;
    offset += first * x.strides[axis];
    padding[axis] = [first, size - last];
  });
  return one(
    record({
      name: "slice",
      inputs: [x],
      outputs: [viewOf(x, shape, x.strides, offset)],
      backward: ([g]) => [g && pad(g, padding)],
    }),
  );
}

function copyInto(target: Tensor, source: Tensor): void {
  // Row by row where the target is a strided part of its storage.
  const from = contiguousCopyIfNeeded(source);
  const { backend } = target.storage;
  const run = runLength(target);
  if (run === 0) return;
  const bytes = target.dtype === "float64" ? 8 : 4;
  const rows = target.size / run;
  for (let row = 0; row < rows; row++) {
    let rest = row * run;
    let offset = 0;
    for (let axis = target.rank - 1; axis >= 0; axis--) {
      offset += (rest % target.shape[axis]) * target.strides[axis];
      rest = Math.floor(rest / target.shape[axis]);
    }
    backend.copy(from.pointer + row * run * bytes, target.pointer + offset * bytes, run, target.dtype);
  }
  if (from !== source) from.dispose();
}

const contiguousCopyIfNeeded = (x: Tensor): Tensor => (x.contiguous ? x : contiguousCopy(x));

/** How many elements from the first one on lie side by side. */
function runLength(x: Tensor): number {
  let run = 1;
  for (let axis = x.rank - 1; axis >= 0; axis--) {
    if (x.shape[axis] !== 1 && x.strides[axis] !== run) break;
    run *= x.shape[axis];
  }
  return x.size === 0 ? 0 : run;
}

/** Adds zeros before and after each axis. */
export function pad(x: Tensor, padding: readonly (readonly [number, number])[]): Tensor {
  checkShape(padding.length === x.rank, "pad", `${x.rank} pairs`, String(padding.length));
  const shape = x.shape.map((size, axis) => size + padding[axis][0] + padding[axis][1]);
  const output = zeros(shape, x.dtype);
  const inner = output.view(
    x.shape,
    output.strides,
    padding.reduce((sum, [before], axis) => sum + before * output.strides[axis], 0),
  );
  copyInto(inner, x);
  inner.dispose();
  const ranges = padding.map(([before], axis) => ({ start: before, end: before + x.shape[axis] }));
  return one(record({ name: "pad", inputs: [x], outputs: [output], backward: ([g]) => [g && slice(g, ranges)] }));
}

/** Joins tensors along an axis; their other sizes agree. */
export function concat(parts: readonly Tensor[], axis: number): Tensor {
  const first = parts[0];
  if (first === undefined) throw new ClozeError("SHAPE_MISMATCH", "concat: nothing to join");
  const at = normalizeAxis("concat", axis, first.rank);
  for (const part of parts) {
    const fits = part.rank === first.rank && part.shape.every((size, i) => i === at || size === first.shape[i]);
    checkShape(
      fits && part.dtype === first.dtype,
      "concat",
      `${formatShape(first.shape)} but for axis ${at}`,
      formatShape(part.shape),
    );
  }
  const starts: number[] = [0];
  for (const part of parts) starts.push(starts[starts.length - 1] + part.shape[at]);
  const shape = first.shape.map((size, i) => (i === at ? starts[parts.length] : size));
  const output = empty(shape, first.dtype);
  parts.forEach((part, i) => {
    const target = output.view(part.shape, output.strides, starts[i] * output.strides[at]);
    copyInto(target, part);
    target.dispose();
  });
  const range = (i: number): AxisRange[] =>
    shape.map((_, other) => (other === at ? { start: starts[i], end: starts[i + 1] } : {}));
  return one(
    record({
      name: "concat",
      inputs: parts,
      outputs: [output],
      backward: ([g], { needs }) => parts.map((_, i) => (g !== undefined && needs(i) ? slice(g, range(i)) : undefined)),
    }),
  );
}

/** Stretches axes of size 1 (and adds axes in front) to a shape. A view. */
export function broadcastTo(x: Tensor, shape: Shape): Tensor {
  if (sameShape(x.shape, shape)) return x;
  const extra = shape.length - x.rank;
  const strides = shape.map((size, axis) => {
    const own = x.shape[axis - extra];
    checkShape(
      extra >= 0 && (axis < extra || own === size || own === 1),
      "broadcastTo",
      formatShape(shape),
      formatShape(x.shape),
    );
    return axis < extra || own !== size ? 0 : x.strides[axis - extra];
  });
  const before = x.shape;
  return one(
    record({
      name: "broadcastTo",
      inputs: [x],
      outputs: [viewOf(x, [...shape], strides)],
      backward: ([g]) => [g && sumTo(g, before)],
    }),
  );
}

/** Sums the axes that a broadcast from `shape` stretched. */
export function sumTo(x: Tensor, shape: Shape): Tensor {
  if (sameShape(x.shape, shape)) return x;
  const extra = x.rank - shape.length;
  const axes = x.shape.flatMap((size, axis) => (axis < extra || shape[axis - extra] !== size ? [axis] : []));
  return reshape(sum(x, axes), shape);
}
