// The one form a batch has: sequences one after the other, no padding (design.md, decision 1).
import { ClozeError } from "../errors.js";

/** Sequences laid end to end. Sequence s holds tokens [offsets[s], offsets[s + 1]). */
export interface PackedBatch {
  /** [tokens] */
  readonly ids: Int32Array;
  /** Segment (token type) of each token. [tokens] */
  readonly segments: Int32Array;
  /** Place of each token in its sequence, from 0. [tokens] */
  readonly positions: Int32Array;
  /** [sequences + 1], from 0 to the number of tokens. */
  readonly offsets: Int32Array;
}

/** A sequence before packing. */
export interface Sequence {
  readonly ids: ArrayLike<number>;
  /** Default: all 0. */
  readonly segments?: ArrayLike<number>;
}

/**
 * Packs sequences into one batch, in their order.
 *
 * @example
 * const batch = packSequences([{ ids: [101, 7592, 102] }, { ids: [101, 102] }]);
 * batch.offsets; // [0, 3, 5]
 */
export function packSequences(sequences: readonly Sequence[]): PackedBatch {
  const offsets = new Int32Array(sequences.length + 1);
  sequences.forEach(({ ids }, i) => {
    offsets[i + 1] = offsets[i] + ids.length;
  });
  const total = offsets[sequences.length];
  const batch = {
    ids: new Int32Array(total),
    segments: new Int32Array(total),
    positions: new Int32Array(total),
    offsets,
  };
  sequences.forEach(({ ids, segments }, i) => {
    if (segments !== undefined && segments.length !== ids.length) {
      throw new ClozeError("BATCH_SHAPE", `Sequence ${i}: one segment for each token`, {
        expected: `${ids.length} segments`,
        received: String(segments.length),
      });
    }
    batch.ids.set(ids, offsets[i]);
    if (segments !== undefined) batch.segments.set(segments, offsets[i]);
    for (let place = 0; place < ids.length; place++) batch.positions[offsets[i] + place] = place;
  });
  return batch;
}

/**
 * Cuts a list of sequence lengths into groups of at most `tokenBudget` tokens; a longer sequence stands alone. Sorted by
 * length first unless `keepOrder`, so that a group holds alike lengths. Gives positions in the list.
 */
export function groupByTokenBudget(
  lengths: ArrayLike<number>,
  tokenBudget: number,
  { keepOrder = false }: { keepOrder?: boolean } = {},
): number[][] {
  if (!(tokenBudget >= 1)) {
    throw new ClozeError("TOKEN_BUDGET", "A token budget is a positive number", { received: String(tokenBudget) });
  }
  const order = Array.from(lengths, (_, i) => i);
  if (!keepOrder) order.sort((a, b) => lengths[b] - lengths[a] || a - b);
  const groups: number[][] = [];
  let used = 0;
  for (const index of order) {
    if (groups.length === 0 || used + lengths[index] > tokenBudget) {
      groups.push([]);
      used = 0;
    }
    groups[groups.length - 1].push(index);
    used += lengths[index];
  }
  return groups;
}

/** A rectangle of rows padded on the right, as other libraries want it. [sequences, longest] */
export interface PaddedBatch {
  readonly ids: Int32Array;
  readonly segments: Int32Array;
  /** 1 for tokens, 0 for padding. */
  readonly attentionMask: Int32Array;
  readonly sequences: number;
  readonly length: number;
}

/** The padded form of a batch. */
export function padBatch(batch: PackedBatch, padId = 0): PaddedBatch {
  const sequences = batch.offsets.length - 1;
  let length = 0;
  for (let s = 0; s < sequences; s++) length = Math.max(length, batch.offsets[s + 1] - batch.offsets[s]);
  const ids = new Int32Array(sequences * length).fill(padId);
  const segments = new Int32Array(sequences * length);
  const attentionMask = new Int32Array(sequences * length);
  for (let s = 0; s < sequences; s++) {
    const [start, end] = [batch.offsets[s], batch.offsets[s + 1]];
    ids.set(batch.ids.subarray(start, end), s * length);
    segments.set(batch.segments.subarray(start, end), s * length);
    attentionMask.fill(1, s * length, s * length + end - start);
  }
  return { ids, segments, attentionMask, sequences, length };
}

/** The packed form of padded rows; tokens whose mask is 0 go. Positions count what stays. */
export function unpadBatch(padded: PaddedBatch): PackedBatch {
  const rows: Sequence[] = [];
  for (let s = 0; s < padded.sequences; s++) {
    const ids: number[] = [];
    const segments: number[] = [];
    for (let i = s * padded.length; i < (s + 1) * padded.length; i++) {
      if (padded.attentionMask[i] === 0) continue;
      ids.push(padded.ids[i]);
      segments.push(padded.segments[i]);
    }
    rows.push({ ids, segments });
  }
  return packSequences(rows);
}

/** Places of the tokens of a packed batch in its padded rectangle. [tokens] */
export function paddedPlaces(batch: PackedBatch, length: number): Int32Array {
  const places = new Int32Array(batch.ids.length);
  for (let s = 0; s + 1 < batch.offsets.length; s++) {
    for (let t = batch.offsets[s]; t < batch.offsets[s + 1]; t++) places[t] = s * length + t - batch.offsets[s];
  }
  return places;
}
