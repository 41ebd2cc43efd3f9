// The largest output of a linear layer over each sequence's rows without a matrix of all outputs: for weights over a vocabulary.
import { reduceCode } from "../backend/contract/reduce.js";
import { backend } from "../backend/index.js";
import { bytesPerElement } from "../dtype.js";
import { ClozeError } from "../errors.js";
import { isComposing, noGrad, record, wantsGrad } from "../graph.js";
import { scope } from "../memory.js";
import { checkShape, formatShape } from "../shape.js";
import { empty, type Tensor, tensor, zeros } from "../tensor.js";
import { mulInPlace } from "./elementwise.js";
import { largestRows } from "./largest-rows.js";
import { checkLayer, linear } from "./linear.js";
import { contiguous, slice } from "./movement.js";
import { sum } from "./reduce.js";
import { checkOffsets, segmentMax } from "./segment.js";

export interface LinearSegmentMaxOptions {
  /** Outputs that are there at the same time, 1 or more. Default: half a million numbers of all rows, which a cache holds. */
  chunkOutputs?: number;
}

/** Rows of gradients that are there at the same time. */
const gradientRows = 4096;

/** Numbers of a chunk. */
const usualChunk = 1 << 19;

/** Values, and with `places` the rows that gave them: [sequences, outputs], -1 where there is none. */
function byChunks(
  [x, weight, bias]: readonly [x: Tensor, weight: Tensor, bias: Tensor | undefined],
  ends: Int32Array,
  chunk: number,
  wantsPlaces: boolean,
): { values: Tensor; places: Int32Array | undefined } {
  const outputs = weight.shape[0];
  const sequences = ends.length - 1;
  const values = zeros([sequences, outputs], x.dtype);
  const places = wantsPlaces ? new Int32Array(sequences * outputs) : undefined;
  const { kernels } = backend();
  const bytes = bytesPerElement[x.dtype];
  for (let start = 0; start < outputs; start += chunk) {
    const range = { start, end: Math.min(outputs, start + chunk) };
    const width = range.end - start;
    const to = (s: number) => values.pointer + bytes * (s * outputs + start);
    scope(() => {
      const all = linear(x, slice(weight, [range]), bias && slice(bias, [range]));
      if (places === undefined && Number.isFinite(sum(all).item())) {
        for (let s = 0; s < sequences; s++) {
          const rows = ends[s + 1] - ends[s];
          const from = all.pointer + bytes * ends[s] * width;
          if (rows > 0) kernels.reduceF32(reduceCode.max, from, to(s), 1, rows, width);
        }
        return;
      }
      // The kernel passes over what is no number.
      const found = largestRows(all.toTypedArray() as Float32Array | Float64Array, ends, width);
      const source = tensor(found.values, [sequences, width], x.dtype);
      for (let s = 0; s < sequences; s++) {
        x.storage.backend.copy(source.pointer + bytes * s * width, to(s), width, x.dtype);
        places?.set(found.rows.subarray(s * width, (s + 1) * width), s * outputs + start);
      }
    });
  }
  return { values, places };
}

/** Gradients of x and of the weight; only outputs that have one are looked at, and each came from one row of x. */
function gradientsOf(
  g: Float32Array | Float64Array,
  places: Int32Array,
  [x, weight]: readonly Tensor[],
  wants: { readonly x: boolean; readonly weight: boolean },
): { gx: Tensor | undefined; gWeight: Tensor | undefined } {
  const [outputs, width] = weight.shape;
  const gx = wants.x ? zeros(x.shape, x.dtype) : undefined;
  const gWeight = wants.weight ? zeros(weight.shape, weight.dtype) : undefined;
  const { kernels } = backend();
  const [rows, terms] = [new Int32Array(gradientRows), new Int32Array(gradientRows)];
  const factors = x.dtype === "float64" ? new Float64Array(gradientRows) : new Float32Array(gradientRows);
  let count = 0;
  const add = () => {
    if (count === 0) return;
    scope(() => {
      const [row, term] = [rows, terms].map((all) => tensor(all.slice(0, count)));
      const factor = tensor(factors.slice(0, count), [count, 1], x.dtype);
      const addTo = (into: Tensor | undefined, toRow: Tensor, table: Tensor, fromRow: Tensor) => {
        if (into === undefined) return;
        const part = empty([count, width], x.dtype);
        kernels.takeRowsF32(table.pointer, fromRow.pointer, part.pointer, count, width);
        mulInPlace(part, factor);
        kernels.scatterAddRowsF32(part.pointer, toRow.pointer, into.pointer, count, width);
      };
      addTo(gx, row, weight, term);
      addTo(gWeight, term, x, row);
    });
    count = 0;
  };
  for (let i = 0; i < g.length; i++) {
    if (g[i] === 0 || places[i] < 0) continue;
    rows[count] = places[i];
    terms[count] = i % outputs;
    factors[count++] = g[i];
    if (count === gradientRows) add();
  }
  add();
  return { gx, gWeight };
}

/**
 * segmentMax(linear(x, weight, bias), offsets), for few rows of a sequence or many: outputs are computed chunk by chunk, and only
 * the largest are kept, so that [rows, outputs] is never there as a whole. The backward pass looks at those that have a gradient.
 *
 * @param x [rows, in]
 * @param weight [outputs, in]
 * @param bias [outputs] or undefined for none
 * @param offsets int32 [sequences + 1]
 * @returns [sequences, outputs]; 0 for sequences without rows. Gradients go to the first of equals; a NaN is the largest
 * @throws OFFSETS, SHAPE_MISMATCH, INVALID_OPTION
 * @example
 * const peaks = linearSegmentMax(hidden, wordTable, bias, tensor(batch.offsets));
 */
export function linearSegmentMax(
  x: Tensor,
  weight: Tensor,
  bias: Tensor | undefined,
  offsets: Tensor,
  { chunkOutputs }: LinearSegmentMaxOptions = {},
): Tensor {
  const name = "linearSegmentMax";
  checkShape(x.rank === 2, name, "rows [rows, in]", formatShape(x.shape));
  checkLayer(name, [x, weight, bias], { input: "rows", rows: "rows", outputs: "outputs" });
  const [rows, width] = x.shape;
  const ends = checkOffsets(name, offsets, rows);
  if (chunkOutputs !== undefined && !(Number.isInteger(chunkOutputs) && chunkOutputs >= 1)) {
    throw new ClozeError("INVALID_OPTION", "linearSegmentMax: chunkOutputs is no number of outputs", {
      expected: "a whole number of at least 1",
      received: String(chunkOutputs),
      remedy: "Leave chunkOutputs out, or give fewer outputs to take less memory.",
    });
  }
  if (isComposing() || width === 0) return segmentMax(linear(x, weight, bias), offsets);
  const given = [x, weight, ...(bias === undefined ? [] : [bias])].map(contiguous);
  const chunk = chunkOutputs ?? Math.max(64, Math.floor(usualChunk / Math.max(1, rows)));
  const wants = wantsGrad(given);
  const { values, places } = noGrad(() => byChunks([given[0], given[1], given[2]], ends, chunk, wants));
  if (places === undefined) return values;
  return record({
    name,
    inputs: given,
    outputs: [values],
    save: [given[0], given[1], tensor(places)],
    differentiable: false,
    backward([g], { saved, needs }) {
      if (g === undefined) return [];
      const gradient = contiguous(g);
      const list = saved[2].toTypedArray() as Int32Array;
      const numbers = gradient.toTypedArray() as Float32Array | Float64Array;
      const { gx, gWeight } = gradientsOf(numbers, list, saved, { x: needs(0), weight: needs(1) });
      if (bias === undefined) return [gx, gWeight];
      if (!needs(2)) return [gx, gWeight, undefined];
      // A sequence without rows gives nothing of the bias.
      const filled = list.includes(-1)
        ? tensor(
            numbers.map((value, i) => (list[i] < 0 ? 0 : value)),
            gradient.shape,
            gradient.dtype,
          )
        : gradient;
      return [gx, gWeight, sum(filled, [0])];
    },
  })[0];
}
