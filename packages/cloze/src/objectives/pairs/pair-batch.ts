import type { Sequence } from "../../data/packed-batch.js";

/** Shortens the longer one first, as BERT does, until both fit into `room` tokens. */
export function fitPair(first: Int32Array, second: Int32Array, room: number): [Int32Array, Int32Array] {
  const half = Math.floor(room / 2);
  const lengthOfFirst = Math.min(first.length, Math.max(half, room - second.length));
  return [first.subarray(0, lengthOfFirst), second.subarray(0, Math.min(second.length, room - lengthOfFirst))];
}

/** [CLS] first [SEP] second [SEP], with segments 0 and 1 where the encoder has both. */
export function pairSequence(
  first: Int32Array,
  second: Int32Array,
  { clsId, sepId }: { clsId: number; sepId: number },
  { maxLength, segments }: { maxLength: number; segments: number },
): Sequence {
  const [a, b] = fitPair(first, second, maxLength - 3);
  const ids = [clsId, ...a, sepId, ...b, sepId];
  return segments < 2 ? { ids } : { ids, segments: ids.map((_, i) => Number(i >= a.length + 2)) };
}
