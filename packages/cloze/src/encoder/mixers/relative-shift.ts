import { concat, contiguous, reshape, slice, type Tensor, zeros } from "@cloze/tensor";

/**
 * From scores by distance to scores by place: y[h, i, j] = x[h, i, j - i + length - 1]. Nothing is gathered: row i begins one
 * element earlier than row i - 1, which is what rows that are one element shorter do.
 *
 * @param x distances from -(length - 1) to length - 1, ascending. [heads, length, 2 length - 1]
 * @returns [heads, length, length]
 */
export function relativeShift(x: Tensor): Tensor {
  const [heads, length, distances] = x.shape;
  // Element (i, j) stands at i (2 length - 1) + j + length - 1 - i once rows are 2 length - 1 long; so one more column first.
  const wide = concat([x, zeros([heads, length, 1], x.dtype)], 2);
  const flat = reshape(contiguous(wide), [heads, length * (distances + 1)]);
  const start = length - 1;
  const rows = contiguous(slice(flat, [{}, { start, end: start + length * distances }]));
  return slice(reshape(rows, [heads, length, distances]), [{}, {}, { end: length }]);
}
