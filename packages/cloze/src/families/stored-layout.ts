// How a parameter of Cloze lies in the tensors of somebody else's file.
import { concat, contiguous, reshape, type Shape, slice, type Tensor, transpose } from "@cloze/tensor";

/** Between a parameter and the tensors that it is stored as. */
export interface StoredLayout {
  /** The shapes of the stored tensors, for a parameter of that shape. */
  shapes(shape: Shape, count: number): Shape[];
  read(parts: readonly Tensor[], shape: Shape): Tensor;
  /** May return views. */
  write(value: Tensor, count: number): Tensor[];
}

/** Tensors one below the other: `queryKeyValue` is query, key and value. */
export const stacked: StoredLayout = {
  shapes: ([rows, ...rest], count) => Array.from({ length: count }, () => [rows / count, ...rest]),
  read: (parts) => (parts.length === 1 ? parts[0] : concat([...parts], 0)),
  write(value, count) {
    const rows = value.shape[0] / count;
    return count === 1
      ? [value]
      : Array.from({ length: count }, (_, i) => slice(value, [{ start: i * rows, end: (i + 1) * rows }]));
  },
};

/** A matrix whose rows and columns are exchanged: TensorFlow's and GPT-2's layers. Vectors stay as they are. */
export const transposed: StoredLayout = {
  shapes: (shape) => [[...shape].reverse()],
  read: ([part]) => (part.rank === 2 ? contiguous(transpose(part)) : part),
  write: (value) => [value.rank === 2 ? contiguous(transpose(value)) : value],
};

/** The same numbers in another shape. */
export const reshaped = (to: (shape: Shape) => Shape): StoredLayout => ({
  shapes: (shape) => [to(shape)],
  read: ([part], shape) => reshape(part, shape),
  write: (value) => [reshape(value, to(value.shape))],
});
