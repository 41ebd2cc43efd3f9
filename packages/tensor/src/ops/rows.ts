// Choosing and adding rows by index: embeddings, gathered positions, segments.
import { backend } from "../backend/index.js";
import { keeps } from "../counter-random.js";
import { ClozeError } from "../errors.js";
import { isComposing, record } from "../graph.js";
import { checkShape, elementCount, formatShape } from "../shape.js";
import { empty, type Tensor, tensor, zeros } from "../tensor.js";
import { mul } from "./elementwise.js";
import { contiguous, reshape } from "./movement.js";

function checkIndices(operation: string, indices: Tensor, size: number): void {
  if (indices.dtype !== "int32") {
    throw new ClozeError("DTYPE_NOT_SUPPORTED", `${operation}: indices are int32`, { received: indices.dtype });
  }
  const list = indices.toTypedArray();
  // Millions of them in a convolution: an iterator would take longer than the rows.
  for (let i = 0; i < list.length; i++) {
    if (list[i] >= 0 && list[i] < size) continue;
    throw new ClozeError("INDEX_OUT_OF_RANGE", `${operation}: an index points outside the table`, {
      expected: `0 to ${size - 1}`,
      received: String(list[i]),
      remedy: "Check that the tokenizer's vocabulary fits the embedding.",
    });
  }
}

/**
 * Rows of a table: y[i] = x[indices[i]]. x: [rows, ...], indices int32 of any shape -> [...indices, ...].
 * @throws INDEX_OUT_OF_RANGE
 */
export function take(x: Tensor, indices: Tensor): Tensor {
  checkShape(x.rank >= 1, "take", "a table with rows", formatShape(x.shape));
  checkIndices("take", indices, x.shape[0]);
  return takeKnown(x, indices);
}

/** `take` with indices that are known to fit: those of a gradient were checked on the way forward. */
function takeKnown(x: Tensor, indices: Tensor): Tensor {
  const table = contiguous(x);
  const list = contiguous(indices);
  const width = elementCount(x.shape.slice(1));
  const y = empty([...indices.shape, ...x.shape.slice(1)], x.dtype);
  if (y.size > 0) backend().kernels.takeRowsF32(table.pointer, list.pointer, y.pointer, list.size, width);
  const shape = x.shape;
  return record({
    name: "take",
    inputs: [table],
    outputs: [y],
    save: [list],
    backward([g], { saved, leafGradient }) {
      if (g === undefined) return [];
      const rows = saved[0];
      const leaf = leafGradient(0);
      if (leaf === undefined)
        return [scatterKnown(reshape(g, [rows.size, ...shape.slice(1)]), reshape(rows, [-1]), shape[0])];
      const { kernels } = backend();
      if (leaf.fresh) {
        kernels.fillF32(leaf.tensor.pointer, 0, leaf.tensor.size);
        if (leaf.leaf.sparseRows) leaf.leaf.touchedRows = [];
      }
      const source = contiguous(g);
      if (rows.size > 0) kernels.scatterAddRowsF32(source.pointer, rows.pointer, leaf.tensor.pointer, rows.size, width);
      leaf.leaf.touchedRows?.push(rows.toTypedArray() as Int32Array);
      return [undefined];
    },
  })[0];
}

/** Adds rows into a table of zeros: y[indices[i]] += x[i]. x: [count, ...] -> [size, ...]. */
export function scatterRows(x: Tensor, indices: Tensor, size: number): Tensor {
  checkShape(
    indices.rank === 1 && indices.size === x.shape[0],
    "scatterRows",
    `${x.shape[0]} indices`,
    formatShape(indices.shape),
  );
  checkIndices("scatterRows", indices, size);
  return scatterKnown(x, indices, size);
}

/** `scatterRows` with indices that are known to fit. */
function scatterKnown(x: Tensor, indices: Tensor, size: number): Tensor {
  const source = contiguous(x);
  const list = contiguous(indices);
  const y = zeros([size, ...x.shape.slice(1)], x.dtype);
  const width = elementCount(x.shape.slice(1));
  if (source.size > 0) backend().kernels.scatterAddRowsF32(source.pointer, list.pointer, y.pointer, list.size, width);
  return record({
    name: "scatterRows",
    inputs: [source],
    outputs: [y],
    save: [list],
    backward: ([g], { saved }) => [g && takeKnown(g, saved[0])],
  })[0];
}

export interface GatedRowsOptions {
  /** Share of whole rows to set to 0, by (seed, row); what remains is not scaled up. Default 0. */
  dropRows?: number;
  seed?: number;
}

/**
 * Rows of a table, each scaled by a row of gates: y[i] = table[indices[i]] * gates[gateIndices[i]].
 *
 * @param table [rows, width]
 * @param indices int32 [count]
 * @param gates [positions, width]
 * @param gateIndices int32 [count]
 * @returns [count, width]
 * @throws INDEX_OUT_OF_RANGE, SHAPE_MISMATCH
 */
export function takeGated(
  table: Tensor,
  indices: Tensor,
  gates: Tensor,
  gateIndices: Tensor,
  { dropRows = 0, seed = 0 }: GatedRowsOptions = {},
): Tensor {
  const width = table.shape[1];
  const count = indices.size;
  checkShape(table.rank === 2, "takeGated", "a table [rows, width]", formatShape(table.shape));
  checkShape(
    gates.rank === 2 && gates.shape[1] === width,
    "takeGated",
    `gates [positions, ${width}]`,
    formatShape(gates.shape),
  );
  checkShape(
    indices.rank === 1 && gateIndices.rank === 1 && gateIndices.size === count,
    "takeGated",
    "as many gate indices as indices",
    `${formatShape(indices.shape)} and ${formatShape(gateIndices.shape)}`,
  );
  if (isComposing()) {
    const rows = mul(take(table, indices), take(gates, gateIndices));
    if (dropRows === 0) return rows;
    const mask = Float32Array.from({ length: count }, (_, i) => Number(keeps(seed, i, 0, dropRows)));
    return mul(rows, tensor(mask, [count, 1], table.dtype));
  }
  checkIndices("takeGated", indices, table.shape[0]);
  checkIndices("takeGated", gateIndices, gates.shape[0]);
  const [a, b, list, gateList] = [table, gates, indices, gateIndices].map(contiguous);
  const y = empty([count, width], table.dtype);
  if (y.size > 0) {
    backend().kernels.gatedRowsF32(
      a.pointer,
      list.pointer,
      b.pointer,
      gateList.pointer,
      y.pointer,
      count,
      width,
      dropRows,
      seed,
    );
  }
  return record({
    name: "takeGated",
    inputs: [a, b],
    outputs: [y],
    save: [a, b, list, gateList],
    differentiable: false,
    backward([g], { saved, needs, leafGradient }) {
      if (g === undefined) return [];
      const { kernels } = backend();
      // A leaf's own buffer is added to; other inputs get a new one.
      const target = (input: number): { into: Tensor; own: boolean } | undefined => {
        if (!needs(input)) return undefined;
        const leaf = leafGradient(input);
        const into = leaf?.tensor ?? empty(saved[input].shape, g.dtype);
        if (leaf === undefined || leaf.fresh) kernels.fillF32(into.pointer, 0, into.size);
        if (leaf?.fresh === true && leaf.leaf.sparseRows) leaf.leaf.touchedRows = [];
        leaf?.leaf.touchedRows?.push(saved[2 + input].toTypedArray() as Int32Array);
        return { into, own: leaf !== undefined };
      };
      const source = contiguous(g);
      const [forTable, forGates] = [target(0), target(1)];
      if (source.size > 0) {
        kernels.gatedRowsBackwardF32(
          saved[0].pointer,
          saved[2].pointer,
          saved[1].pointer,
          saved[3].pointer,
          source.pointer,
          forTable?.into.pointer ?? null,
          forGates?.into.pointer ?? null,
          count,
          width,
          dropRows,
          seed,
        );
      }
      return [forTable, forGates].map((entry) => (entry === undefined || entry.own ? undefined : entry.into));
    },
  })[0];
}
