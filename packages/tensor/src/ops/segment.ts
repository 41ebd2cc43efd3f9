// Sums, means and maxima over the sequences of a packed batch.
import { backend } from "../backend/index.js";
import { ClozeError } from "../errors.js";
import { isComposing, record } from "../graph.js";
import { checkShape, elementCount, formatShape } from "../shape.js";
import { empty, type Tensor, tensor, zeros } from "../tensor.js";
import { mul } from "./elementwise.js";
import { largestRows } from "./largest-rows.js";
import { concat, contiguous, reshape } from "./movement.js";
import { scatterRows, take } from "./rows.js";

/** Throws unless offsets start at 0, never fall, and end at the number of rows. */
export function checkOffsets(operation: string, offsets: Tensor, rows: number): Int32Array {
  checkShape(
    offsets.dtype === "int32" && offsets.rank === 1 && offsets.size >= 1,
    operation,
    "int32 offsets [sequences + 1]",
    `${offsets.dtype} ${formatShape(offsets.shape)}`,
  );
  const ends = offsets.toTypedArray() as Int32Array;
  const rising = ends.every((end, i) => i === 0 || end >= ends[i - 1]);
  if (ends[0] !== 0 || !rising || ends[ends.length - 1] !== rows) {
    throw new ClozeError("OFFSETS", `${operation}: offsets start at 0, never fall, and end at the number of rows`, {
      expected: `0 … ${rows}`,
      received: `${ends.slice(0, 8).join(", ")}${ends.length > 8 ? ", …" : ""} (the last is ${ends[ends.length - 1]})`,
    });
  }
  return ends;
}

function segments(x: Tensor, offsets: Tensor, mean: boolean): Tensor {
  const name = mean ? "segmentMean" : "segmentSum";
  checkShape(x.rank >= 1, name, "rows", formatShape(x.shape));
  const ends = checkOffsets(name, offsets, x.shape[0]);
  const count = ends.length - 1;
  const tail = x.shape.slice(1);
  if (isComposing()) {
    const owner = new Int32Array(x.shape[0]);
    const scale = new Float64Array(x.shape[0]);
    for (let s = 0; s < count; s++) {
      owner.fill(s, ends[s], ends[s + 1]);
      scale.fill(mean ? 1 / (ends[s + 1] - ends[s]) : 1, ends[s], ends[s + 1]);
    }
    const factors = tensor(Array.from(scale), [x.shape[0], ...tail.map(() => 1)], x.dtype);
    return scatterRows(mul(x, factors), tensor(owner), count);
  }
  const source = contiguous(x);
  const list = contiguous(offsets);
  const width = elementCount(tail);
  const mode = Number(mean);
  const y = empty([count, ...tail], x.dtype);
  const { kernels } = backend();
  if (y.size > 0) kernels.segmentSumF32(source.pointer, list.pointer, y.pointer, count, width, mode);
  return record({
    name,
    inputs: [source],
    outputs: [y],
    save: [list],
    differentiable: false,
    backward([g], { saved }) {
      if (g === undefined) return [];
      const gradient = contiguous(g);
      const gx = empty(x.shape, x.dtype);
      if (gx.size > 0) {
        backend().kernels.segmentSumBackwardF32(gradient.pointer, saved[0].pointer, gx.pointer, count, width, mode);
      }
      return [gx];
    },
  })[0];
}

/**
 * The sum of the rows of each sequence; an empty sequence gives 0.
 *
 * @param x [tokens, ...]
 * @param offsets int32 [sequences + 1]
 * @returns [sequences, ...]
 * @throws OFFSETS, SHAPE_MISMATCH
 */
export const segmentSum = (x: Tensor, offsets: Tensor): Tensor => segments(x, offsets, false);

/** The mean of the rows of each sequence; an empty sequence gives 0. See `segmentSum`. */
export const segmentMean = (x: Tensor, offsets: Tensor): Tensor => segments(x, offsets, true);

/**
 * The largest number of each column in each sequence; an empty sequence gives 0. Gradients go to the first of equals; a
 * NaN is the largest.
 *
 * @param x [tokens, ...]
 * @param offsets int32 [sequences + 1]
 * @returns [sequences, ...]
 * @throws OFFSETS, SHAPE_MISMATCH
 */
export function segmentMax(x: Tensor, offsets: Tensor): Tensor {
  checkShape(x.rank >= 1, "segmentMax", "rows", formatShape(x.shape));
  const ends = checkOffsets("segmentMax", offsets, x.shape[0]);
  const count = ends.length - 1;
  const tail = x.shape.slice(1);
  const width = elementCount(tail);
  const { rows } = largestRows(x.detach().toTypedArray() as Float32Array | Float64Array, ends, width);
  // Elements behind the last one stand for empty sequences.
  const places = rows.map((row, i) => (row < 0 ? x.size : row * width + (i % width)));
  const flat = reshape(x, [x.size]);
  const table = places.includes(x.size) ? concat([flat, zeros([1], x.dtype)], 0) : flat;
  return reshape(take(table, tensor(places)), [count, ...tail]);
}
