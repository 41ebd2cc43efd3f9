// Where the first of two texts ends.
import type { EncoderBatch } from "../encoder/batch.js";

/** The place of the first separator in each sequence; -1 where there is none. [sequences] */
export function separatorPlaces({ ids, offsets }: EncoderBatch, separatorId: number | undefined): Int32Array {
  return Int32Array.from({ length: offsets.length - 1 }, (_, s) =>
    separatorId === undefined ? -1 : ids.subarray(offsets[s], offsets[s + 1]).indexOf(separatorId),
  );
}

/** 1 for the tokens (by place and sequence) of which something is true, else 0. [tokens] */
export function tokensWhere(
  { ids, offsets }: EncoderBatch,
  isTrue: (place: number, sequence: number) => boolean,
): Uint8Array {
  const result = new Uint8Array(ids.length);
  for (let s = 0; s + 1 < offsets.length; s++) {
    for (let row = offsets[s]; row < offsets[s + 1]; row++) result[row] = Number(isTrue(row - offsets[s], s));
  }
  return result;
}
