// Choosing and adding rows by index: embeddings, gathered positions, segments.
import { backend } from "../backend/index.js";
import { ClozeError } from "../errors.js";
import { record } from "../graph.js";
import { checkShape, elementCount, formatShape } from "../shape.js";
import { empty, type Tensor, zeros } from "../tensor.js";
import { contiguous, reshape } from "./movement.js";

function checkIndices(operation: string, indices: Tensor, size: number): void {
  if (indices.dtype !== "int32") {
    throw new ClozeError("DTYPE_NOT_SUPPORTED", `${operation}: indices are int32`, { received: indices.dtype });
  }
  for (const index of indices.toTypedArray()) {
    if (index < 0 || index >= size) {
      throw new ClozeError("INDEX_OUT_OF_RANGE", `${operation}: an index points outside the table`, {
        expected: `0 to ${size - 1}`,
        received: String(index),
        remedy: "Check that the tokenizer's vocabulary fits the embedding.",
      });
    }
  }
}

/**
 * Rows of a table: y[i] = x[indices[i]]. x: [rows, ...], indices int32 of any shape -> [...indices, ...].
 * @throws INDEX_OUT_OF_RANGE
 */
export function take(x: Tensor, indices: Tensor): Tensor {
  checkShape(x.rank >= 1, "take", "a table with rows", formatShape(x.shape));
  checkIndices("take", indices, x.shape[0]);
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
        return [scatterRows(reshape(g, [rows.size, ...shape.slice(1)]), reshape(rows, [-1]), shape[0])];
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
    backward: ([g], { saved }) => [g && take(g, saved[0])],
  })[0];
}
