// Order along the last axis, and running sums.
import { backend } from "../backend/index.js";
import type { TypedArray } from "../dtype.js";
import { isReal, typedArray } from "../dtype.js";
import { ClozeError } from "../errors.js";
import { record } from "../graph.js";
import { checkShape, elementCount, formatShape, normalizeAxis } from "../shape.js";
import { empty, type Tensor, tensor } from "../tensor.js";
import { contiguous, reshape } from "./movement.js";
import { take } from "./rows.js";

/** Shorter rows are sorted by comparison; longer ones by their bits, byte by byte. */
const shortRow = 64;

/** Whole numbers that are ordered as the values are: -0 equals 0, and NaN comes last. */
function sortKeys(values: Float32Array | Int32Array, descending: boolean): Uint32Array {
  const keys = new Uint32Array(values.length);
  const flip = descending ? 0xffffffff : 0;
  if (values instanceof Int32Array) {
    for (let i = 0; i < values.length; i++) keys[i] = values[i] ^ 0x80000000 ^ flip;
    return keys;
  }
  const bits = new Int32Array(values.buffer, values.byteOffset, values.length);
  for (let i = 0; i < values.length; i++) {
    const word = values[i] === 0 ? 0 : bits[i];
    const key = Number.isNaN(values[i]) ? 0xffffffff : word < 0 ? ~word : word ^ 0x80000000;
    keys[i] = key ^ flip;
  }
  return keys;
}

/** The stable order of keys: a pass for each byte, those that are the same in all keys left out. */
function radixOrder(keys: Uint32Array): Int32Array {
  let order = Int32Array.from(keys, (_, i) => i);
  let next = new Int32Array(keys.length);
  for (let shift = 0; shift < 32; shift += 8) {
    const starts = new Int32Array(257);
    for (let i = 0; i < keys.length; i++) starts[((keys[i] >>> shift) & 255) + 1]++;
    if (starts.indexOf(keys.length) > 0) continue;
    for (let digit = 0; digit < 256; digit++) starts[digit + 1] += starts[digit];
    for (let i = 0; i < order.length; i++) next[starts[(keys[order[i]] >>> shift) & 255]++] = order[i];
    [order, next] = [next, order];
  }
  return order;
}

function comparisonOrder(values: TypedArray, descending: boolean): Int32Array {
  const sign = descending ? -1 : 1;
  return Int32Array.from(values, (_, i) => i).sort((i, j) => {
    const a = values[i];
    const b = values[j];
    if (a < b) return -sign;
    if (a > b) return sign;
    const missing = Number(Number.isNaN(a)) - Number(Number.isNaN(b));
    return missing === 0 ? i - j : sign * missing;
  });
}

/**
 * Sorts each row along the last axis. x: [..., width] (float32, float64 or int32) -> `values` of the same shape and type,
 * and `indices`, int32: where each value stood in its row. Equal values keep their order; NaN counts as larger than any
 * number. Gradients flow through `values`.
 *
 * @throws DTYPE_NOT_SUPPORTED, SHAPE_MISMATCH for a scalar
 * @example
 * const { values, indices } = sort(scores, { descending: true });
 */
export function sort(x: Tensor, { descending = false } = {}): { values: Tensor; indices: Tensor } {
  checkShape(x.rank >= 1, "sort", "at least one axis", formatShape(x.shape));
  if (!isReal(x.dtype) && x.dtype !== "int32") {
    throw new ClozeError("DTYPE_NOT_SUPPORTED", "sort works on float32, float64 and int32", {
      received: x.dtype,
      remedy: "Call toFloat() first.",
    });
  }
  const data = x.toTypedArray();
  const width = x.shape[x.rank - 1];
  const order = new Int32Array(data.length);
  for (let start = 0; start < data.length; start += width) {
    const row = data.subarray(start, start + width);
    const byBits = width > shortRow && (row instanceof Float32Array || row instanceof Int32Array);
    order.set(byBits ? radixOrder(sortKeys(row, descending)) : comparisonOrder(row, descending), start);
  }
  const indices = tensor(order, x.shape);
  if (!isReal(x.dtype)) {
    const sorted = typedArray(x.dtype, data.length);
    for (let i = 0; i < sorted.length; i++) sorted[i] = data[i - (i % width) + order[i]];
    return { values: tensor(sorted, x.shape), indices };
  }
  const places = order.map((index, i) => i - (i % width) + index);
  return { values: reshape(take(reshape(x, [-1]), tensor(places)), x.shape), indices };
}

/**
 * Running sums along an axis (default the last): y[i] = x[0] + ... + x[i]; with `reverse` y[i] = x[i] + ... + x[last].
 * Summed in double precision. The gradient is the running sum from the other end.
 *
 * @throws AXIS_OUT_OF_RANGE, DTYPE_NOT_SUPPORTED
 * @example
 * cumulativeSum(tensor([1, 2, 3])).toArray(); // [1, 3, 6]
 */
export function cumulativeSum(x: Tensor, axis = -1, { reverse = false } = {}): Tensor {
  const at = normalizeAxis("cumulativeSum", axis, x.rank);
  if (!isReal(x.dtype)) {
    throw new ClozeError("DTYPE_NOT_SUPPORTED", "cumulativeSum works on float32 and float64", {
      received: x.dtype,
      remedy: "Call toFloat() first.",
    });
  }
  const source = contiguous(x);
  const y = empty(x.shape, x.dtype);
  const outer = elementCount(x.shape.slice(0, at));
  const inner = elementCount(x.shape.slice(at + 1));
  if (y.size > 0)
    backend().kernels.cumulativeSumF32(source.pointer, y.pointer, outer, x.shape[at], inner, Number(reverse));
  return record({
    name: "cumulativeSum",
    inputs: [source],
    outputs: [y],
    backward: ([g]) => [g && cumulativeSum(g, at, { reverse: !reverse })],
  })[0];
}
