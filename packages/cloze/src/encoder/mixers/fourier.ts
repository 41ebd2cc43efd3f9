// Mixing by a Fourier transform instead of attention (FNet, arXiv 2105.03824).
import {
  concat,
  contiguous,
  fft,
  planFourierMix,
  rfft,
  slice,
  type Tensor,
  take,
  tensor,
  transpose,
} from "@cloze/tensor";
import { z } from "zod";
import type { EncoderBatch } from "../batch.js";
import { defineSlot } from "../part.js";

/** Plans have tables for each length up to this one (of 512, 8 MB at most); longer sequences run through the engine. */
const longestPlanned = 512;

/** For each token the token of its sequence at place (length - place) mod length. [tokens] */
function mirroredRows({ offsets, ids }: EncoderBatch): Int32Array {
  const rows = new Int32Array(ids.length);
  for (let s = 0; s + 1 < offsets.length; s++) {
    const [start, end] = [offsets[s], offsets[s + 1]];
    for (let row = start; row < end; row++) rows[row] = row === start ? start : start + end - row;
  }
  return rows;
}

/** The real part of the transform over the places of each sequence. -> [bins, tokens] */
function overPlaces(real: Tensor, imaginary: Tensor, { offsets }: EncoderBatch): Tensor {
  const parts: Tensor[] = [];
  for (let s = 0; s + 1 < offsets.length; s++) {
    const range = [{ start: offsets[s], end: offsets[s + 1] }];
    if (range[0].end === range[0].start) continue;
    const [re, im] = [real, imaginary].map((part) => contiguous(transpose(slice(part, range))));
    parts.push(fft({ real: re, imaginary: im }).real);
  }
  return concat(parts, 1);
}

/**
 * The real part of the discrete Fourier transform over the places and the dimensions of each sequence, which has its own
 * length: y[m, k] = Re sum over n and j of x[n, j] exp(-2 pi i (m n / length + k j / hidden)). No parameters. FNet has no
 * mask, so tokens that a batch calls not visible are mixed like the others.
 */
export const fourier = defineSlot({
  schema: z.strictObject({ type: z.literal("fourier") }),
  bind: (_, hiddenSize, { maxPositions }) => ({
    matrices: [],
    // Two fast transforms of 5 n log2 n (half of it where the input is real).
    flops: (length) => 2.5 * length * hiddenSize * (Math.log2(hiddenSize) + Math.log2(Math.max(2, length))),
    forward(x, _access, { batch, once }) {
      if (batch.ids.length === 0) return x;
      const { real, imaginary } = rfft(x);
      const half = overPlaces(real, imaginary, batch);
      const bins = half.shape[0];
      const low = contiguous(transpose(half));
      if (bins === hiddenSize) return low;
      // The other dimensions are the mirror image in both directions: y[m, k] = y[length - m, hidden - k].
      const reversed = Int32Array.from({ length: hiddenSize - bins }, (_, i) => hiddenSize - bins - i);
      const high = contiguous(transpose(take(half, tensor(reversed))));
      const rows = once("fourier", () => mirroredRows(batch));
      return concat([low, take(high, tensor(rows))], 1);
    },
    plan: (x, { builder }) => planFourierMix(x, Math.min(maxPositions, longestPlanned), builder),
  }),
});
