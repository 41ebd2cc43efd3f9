import type { EncoderBatch } from "../batch.js";
import { attendedSequences } from "./composed-attention.js";

/**
 * Where runs of tokens end that may see each other, from 0 on: each sequence, or, where some of its tokens are not seen,
 * those that are seen and then the others. [runs + 1]
 *
 * @throws BATCH_SHAPE
 */
export function visibleEnds(batch: EncoderBatch): Int32Array {
  const sequences = attendedSequences(batch);
  return Int32Array.from([
    0,
    ...sequences.flatMap(({ start, end, seen }) => (start + seen < end ? [start + seen, end] : [end])),
  ]);
}
