// The rows of a table that gradients were added to, each once.
import { backend } from "../backend/index.js";
import { empty, type Tensor, zeros } from "../tensor.js";

interface Rows {
  /** One byte per row, 0 between calls. */
  readonly marks: Tensor;
  /** The distinct rows; one place more than there are rows, which the kernel needs. */
  readonly list: Tensor;
  count: number;
  /** What `count` was computed from. */
  from: Int32Array[] | undefined;
  lists: number;
}

const buffers = new WeakMap<Tensor, Rows>();

/** The distinct touched rows of a parameter as kernels take them. Valid until rows are touched again. */
export function touchedRows(parameter: Tensor): { rows: number; count: number; width: number } | undefined {
  const touched = parameter.touchedRows;
  if (touched === undefined || parameter.grad === undefined) return undefined;
  const rows = parameter.shape[0];
  const width = parameter.size / Math.max(1, rows);
  let buffer = buffers.get(parameter);
  if (buffer === undefined) {
    buffer = {
      marks: zeros([rows], "int8").keep("optimizer"),
      list: empty([rows + 1], "int32").keep("optimizer"),
      count: 0,
      from: undefined,
      lists: 0,
    };
    buffers.set(parameter, buffer);
  }
  if (buffer.from !== touched || buffer.lists !== touched.length) {
    const { kernels } = backend();
    let found = 0;
    for (const ids of touched)
      found = kernels.uniqueIds(ids, ids.length, buffer.marks.pointer, buffer.list.pointer, found);
    kernels.clearMarks(buffer.list.pointer, found, buffer.marks.pointer);
    buffer.count = found;
    buffer.from = touched;
    buffer.lists = touched.length;
  }
  return { rows: buffer.list.pointer, count: buffer.count, width };
}

/** Zeroes the touched rows of the gradient and forgets them. */
export function clearTouched(parameter: Tensor): void {
  const touched = parameter.touchedRows?.length === 0 ? undefined : touchedRows(parameter);
  if (touched !== undefined && parameter.grad !== undefined) {
    backend().kernels.zeroRowsF32(parameter.grad.pointer, touched.rows, touched.count, touched.width);
    parameter.grad.markWritten();
  }
  parameter.touchedRows = [];
}

/** Frees what `touchedRows` keeps for a parameter. */
export function forgetTouched(parameter: Tensor): void {
  const buffer = buffers.get(parameter);
  buffer?.marks.dispose();
  buffer?.list.dispose();
  buffers.delete(parameter);
}
