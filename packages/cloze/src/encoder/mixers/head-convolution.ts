// Long convolutions over the tokens of each sequence, one kernel for all channels of a head, as products of matrices.
import {
  concat,
  contiguous,
  matmul,
  permute,
  reshape,
  type Tensor,
  take,
  tensor,
  transpose,
  zeros,
} from "@cloze/tensor";
import type { EncoderBatch } from "../batch.js";
import type { SlotContext } from "../part.js";

/** Tokens of a block, so that a block and what its kernels reach are at most twice as long as the block. */
const blockSize = (taps: number): number => Math.max(16, taps - 1);

/** For blocks of each sequence, with what kernels reach: rows of the batch, or the row behind the last where it ends. */
function blockRows({ offsets, ids }: EncoderBatch, taps: number): { rows: Int32Array; tokens: Int32Array } {
  const [block, half] = [blockSize(taps), Math.floor(taps / 2)];
  const width = block + taps - 1;
  const rows: number[] = [];
  const tokens = new Int32Array(ids.length);
  for (let s = 0; s + 1 < offsets.length; s++) {
    const [start, end] = [offsets[s], offsets[s + 1]];
    const first = (rows.length / width) * block;
    for (let row = start; row < end; row++) tokens[row] = first + row - start;
    for (let from = start; from < end; from += block) {
      for (let i = 0; i < width; i++) {
        const row = from + i - half;
        rows.push(row >= start && row < end ? row : ids.length);
      }
    }
  }
  return { rows: Int32Array.from(rows), tokens };
}

/** The taps that stand in the matrix of a block; the one behind the last is 0. [block x width] */
function bandTaps(taps: number): Int32Array {
  const block = blockSize(taps);
  const width = block + taps - 1;
  return Int32Array.from({ length: block * width }, (_, at) => {
    const tap = (at % width) - Math.floor(at / width);
    return tap >= 0 && tap < taps ? tap : taps;
  });
}

/**
 * y[t, h] = sum over j of kernel[h, j] x[t + j - floor(taps / 2), h], with zeros beyond the sequence. Linear in the number
 * of tokens: blocks are multiplied with a band of the kernel.
 *
 * @param x [tokens, heads x size]
 * @param kernel [heads, taps], with an odd number of taps
 */
export function headConvolution(
  x: Tensor,
  kernel: Tensor,
  { batch, once }: Pick<SlotContext, "batch" | "once">,
): Tensor {
  const [heads, taps] = kernel.shape;
  const [tokensCount, columns] = x.shape;
  const size = columns / heads;
  const block = blockSize(taps);
  const width = block + taps - 1;
  const { rows, tokens } = once(`blocks ${taps}`, () => blockRows(batch, taps));
  if (tokensCount === 0) return x;
  const count = rows.length / width;
  const zero = (length: number): Tensor => zeros([1, length], x.dtype);
  const gathered = reshape(take(concat([x, zero(columns)], 0), tensor(rows)), [count, width, heads, size]);
  const blocks = reshape(contiguous(permute(gathered, [2, 1, 0, 3])), [heads, width, count * size]);
  const byTap = concat([contiguous(transpose(kernel)), zero(heads)], 0);
  const band = take(byTap, tensor(once(`band ${taps}`, () => bandTaps(taps))));
  const bands = reshape(contiguous(transpose(band)), [heads, block, width]);
  const products = reshape(matmul(bands, blocks), [heads, block, count, size]);
  return take(reshape(contiguous(permute(products, [2, 1, 0, 3])), [count * block, columns]), tensor(tokens));
}
