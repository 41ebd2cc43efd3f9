// From vectors of tokens to one vector per text.
import { concat, max, segmentMean, slice, type Tensor, take, tensor, zeros } from "@cloze/tensor";

/** How the vectors of a text's tokens become one: their mean, the first token's, or the largest per dimension. */
export type Pooling = "mean" | "cls" | "max";

const poolings: Record<Pooling, (hidden: Tensor, offsets: Int32Array) => Tensor> = {
  mean: (hidden, offsets) => segmentMean(hidden, tensor(offsets)),
  cls: (hidden, offsets) => take(hidden, tensor(offsets.slice(0, -1))),
  max(hidden, offsets) {
    const rows = Array.from(offsets.subarray(0, -1), (start, i) =>
      offsets[i + 1] > start
        ? max(slice(hidden, [{ start, end: offsets[i + 1] }]), [0], true)
        : zeros([1, hidden.shape[1]]),
    );
    return rows.length > 0 ? concat(rows, 0) : zeros([0, hidden.shape[1]]);
  },
};

/**
 * One vector per sequence of a packed batch.
 *
 * @param hidden [tokens, hidden]
 * @param offsets [sequences + 1]
 * @returns [sequences, hidden]; "cls" needs at least one token per sequence
 */
export const pool = (hidden: Tensor, offsets: Int32Array, pooling: Pooling): Tensor =>
  poolings[pooling](hidden, offsets);
