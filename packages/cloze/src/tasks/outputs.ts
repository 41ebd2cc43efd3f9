// Numbers of each row, copied out of tensors that are about to be freed.

import type { Tensor } from "@cloze/tensor";
import { joinArrays } from "../data/join-arrays.js";
import { ClozeError } from "../errors.js";
import type { TaskBatch } from "./task.js";

const needed = (values: Tensor | undefined): Tensor => {
  if (values !== undefined) return values;
  throw new ClozeError("HEAD_MISMATCH", "The model's head does not give what the task reads", {
    remedy: "Load the model that was fine-tuned for this task.",
  });
};

/** The part of [sequences, width] that belongs to each row. */
export function rowsOfSequences(values: Tensor | undefined, { rowOffsets }: TaskBatch): Float32Array[] {
  const tensor = needed(values);
  const all = tensor.toTypedArray() as Float32Array;
  const width = tensor.size / Math.max(1, tensor.shape[0]);
  return Array.from({ length: rowOffsets.length - 1 }, (_, row) =>
    all.slice(rowOffsets[row] * width, rowOffsets[row + 1] * width),
  );
}

/** The part of [tokens, width] that belongs to each row. */
export function rowsOfTokens(values: Tensor | undefined, { rowOffsets, offsets }: TaskBatch): Float32Array[] {
  const tensor = needed(values);
  const all = tensor.toTypedArray() as Float32Array;
  const width = tensor.size / Math.max(1, tensor.shape[0]);
  return Array.from({ length: rowOffsets.length - 1 }, (_, row) =>
    all.slice(offsets[rowOffsets[row]] * width, offsets[rowOffsets[row + 1]] * width),
  );
}

/** Arrays end to end. */
export const joinNumbers = (parts: readonly Float32Array[]): Float32Array =>
  parts.length === 1 ? parts[0] : joinArrays(parts, Float32Array);

/** The numbers of sequences as numbers of rows. */
export const joinRows = (sequences: readonly Float32Array[], rowOffsets: Int32Array): Float32Array[] =>
  Array.from({ length: rowOffsets.length - 1 }, (_, row) =>
    joinNumbers(sequences.slice(rowOffsets[row], rowOffsets[row + 1])),
  );

/** Softmax of a few numbers, in double precision. */
export function softmaxOf(logits: ArrayLike<number>): number[] {
  const highest = Math.max(...Array.from(logits));
  const powers = Array.from(logits, (logit) => Math.exp(logit - highest));
  const total = powers.reduce((sum, power) => sum + power, 0);
  return powers.map((power) => power / total);
}

export const sigmoid = (logit: number): number => 1 / (1 + Math.exp(-logit));

/** The place of the largest number; the first of equals. */
export function placeOfLargest(values: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i] > values[best]) best = i;
  return best;
}
