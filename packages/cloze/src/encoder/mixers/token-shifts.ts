// Neighbours of tokens inside their sequences, for convolutions.
import { add, concat, mul, reshape, slice, type Tensor, take, tensor, zeros } from "@cloze/tensor";
import { z } from "zod";
import type { EncoderBatch } from "../batch.js";
import type { SlotContext } from "../part.js";

/** Taps of a kernel that is centred on a token. */
export const oddSchema = z
  .int()
  .min(1)
  .refine((taps) => taps % 2 === 1, "a kernel has a tap in its middle, so an odd number");

/** For each token the row `shift` further on in its sequence; where the sequence has ended, the row behind the last. */
function shiftedRows({ offsets, ids }: EncoderBatch, shift: number): Int32Array {
  const rows = new Int32Array(ids.length).fill(ids.length);
  for (let s = 0; s + 1 < offsets.length; s++) {
    const [start, end] = [offsets[s], offsets[s + 1]];
    for (let row = Math.max(start, start - shift); row < Math.min(end, end - shift); row++) rows[row] = row + shift;
  }
  return rows;
}

/**
 * The sum over the taps of a kernel of `weigh(neighbour, tap)`, where `neighbour` is x as it stands tap - floor(taps / 2)
 * tokens further on in its sequence, and 0 beyond it. x: [tokens, width]
 */
export function sumOverTaps(
  x: Tensor,
  taps: number,
  { batch, once }: Pick<SlotContext, "batch" | "once">,
  weigh: (neighbour: Tensor, tap: number) => Tensor,
): Tensor {
  const padded = concat([x, zeros([1, x.shape[1]], x.dtype)], 0);
  const products = Array.from({ length: taps }, (_, tap) => {
    const shift = tap - Math.floor(taps / 2);
    if (shift === 0) return weigh(x, tap);
    const rows = once(`shift ${shift}`, () => shiftedRows(batch, shift));
    return weigh(take(padded, tensor(rows)), tap);
  });
  return products.reduce(add);
}

/** Each channel with a kernel of its own. x: [tokens, width], kernel: [width, taps] -> [tokens, width] */
export function depthwiseConvolution(x: Tensor, kernel: Tensor, context: Pick<SlotContext, "batch" | "once">): Tensor {
  const [width, taps] = kernel.shape;
  return sumOverTaps(x, taps, context, (neighbour, tap) =>
    mul(neighbour, reshape(slice(kernel, [{}, { start: tap, end: tap + 1 }]), [1, width])),
  );
}
