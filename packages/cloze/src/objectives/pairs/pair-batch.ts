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

/**
 * [CLS] first [SEP] second [SEP] context [SEP], with segments 0, 1 and 2 where the encoder has all three. The context gets what
 * the pair leaves, and a third at least; an empty one leaves its place out.
 */
export function contextSequence(
  { first, second }: { first: Int32Array; second: Int32Array },
  context: Int32Array,
  vocabulary: { clsId: number; sepId: number },
  { maxLength, segments }: { maxLength: number; segments: number },
): Sequence {
  const room = maxLength - 4;
  const kept = Math.min(context.length, Math.floor(room / 3));
  const pair = pairSequence(first, second, vocabulary, {
    maxLength: kept === 0 ? maxLength : room - kept + 3,
    segments,
  });
  const third = [...context.subarray(0, Math.max(0, maxLength - 1 - pair.ids.length)), vocabulary.sepId];
  if (third.length === 1) return pair;
  const ids = [...Array.from(pair.ids), ...third];
  if (pair.segments === undefined) return { ids };
  return { ids, segments: [...Array.from(pair.segments), ...third.map(() => Math.min(2, segments - 1))] };
}
