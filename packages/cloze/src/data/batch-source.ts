// Where training batches come from: an endless stream that can say where it is.
import { randomOrder, randomSource } from "./random-source.js";

/** An endless stream of batches whose place can be written into a checkpoint. */
export interface BatchSource<Batch> {
  next(): Batch;
  /** JSON that `restore` understands. */
  state(): unknown;
  /** Continues exactly where `state` was taken. */
  restore(state: unknown): void;
}

/**
 * Batches of `size` positions out of `count`, in a new random order each epoch; the remainder of an epoch is dropped.
 *
 * @example
 * const source = shuffledBatches(pairs.length, 256, 1, (positions) => pack(positions));
 */
export function shuffledBatches<Batch>(
  count: number,
  size: number,
  seed: number,
  make: (positions: Int32Array, index: number) => Batch,
): BatchSource<Batch> {
  const perEpoch = Math.max(1, Math.floor(count / size));
  let index = 0;
  let epoch = -1;
  let order: Int32Array = new Int32Array(0);
  return {
    next() {
      const wanted = Math.floor(index / perEpoch);
      if (wanted !== epoch) {
        epoch = wanted;
        order = randomOrder(count, randomSource(seed, epoch));
      }
      const start = (index % perEpoch) * size;
      return make(order.subarray(start, Math.min(count, start + size)), index++);
    },
    state: () => ({ index }),
    restore(state) {
      index = (state as { index: number }).index;
      epoch = -1;
    },
  };
}

/**
 * Batches that are filled in a random order until the next item would exceed the budget (one item at least); every item
 * once an epoch.
 *
 * @param costOf what an item takes of the budget, such as its tokens
 */
export function budgetBatches<Batch>(
  count: number,
  costOf: (position: number) => number,
  budget: number,
  seed: number,
  make: (positions: Int32Array, index: number) => Batch,
): BatchSource<Batch> {
  let index = 0;
  let epoch = 0;
  let place = 0;
  let order: Int32Array | undefined;
  return {
    next() {
      if (place >= count) {
        epoch++;
        place = 0;
        order = undefined;
      }
      order ??= randomOrder(count, randomSource(seed, epoch));
      const start = place;
      let used = 0;
      do used += costOf(order[place++]);
      while (place < count && used + costOf(order[place]) <= budget);
      return make(order.subarray(start, place), index++);
    },
    state: () => ({ index, epoch, place }),
    restore(state) {
      ({ index, epoch, place } = state as { index: number; epoch: number; place: number });
      order = undefined;
    },
  };
}
