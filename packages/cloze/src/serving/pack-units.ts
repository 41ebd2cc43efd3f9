// Batches of sequences as models take them.
import { type PackedBatch, packSequences } from "../data/packed-batch.js";
import type { SequenceUnit } from "./encode-input.js";

/** Lays units end to end; positions count from each unit's offset. */
export function packUnits(units: readonly SequenceUnit[]): PackedBatch {
  const batch = packSequences(units);
  units.forEach(({ positionOffset = 0 }, s) => {
    if (positionOffset === 0) return;
    for (let t = batch.offsets[s]; t < batch.offsets[s + 1]; t++) batch.positions[t] += positionOffset;
  });
  return batch;
}

/** The rows of [rows, width], each a part of the whole. */
export const rowsOf = (values: Float32Array, width: number): Float32Array[] =>
  Array.from({ length: values.length / width }, (_, row) => values.subarray(row * width, (row + 1) * width));
