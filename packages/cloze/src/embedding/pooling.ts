// From vectors of tokens to one vector per text.
import {
  concat,
  div,
  maximum,
  mul,
  segmentMax,
  segmentMean,
  segmentSum,
  sqrt,
  type Tensor,
  take,
  tensor,
  zeros,
} from "@cloze/tensor";

/**
 * How the vectors of a text's tokens become one: the first token's, the last token's, the largest of each dimension, their
 * mean, their sum over the square root of their number, or their mean weighted by place (1, 2, 3 …).
 */
export type PoolingMode = "cls" | "max" | "mean" | "mean-sqrt-length" | "weighted-mean" | "last-token";

/** One way of pooling, or several whose vectors are laid end to end. */
export type Pooling = PoolingMode | readonly PoolingMode[];

/** All of {@link PoolingMode}, in the order in which old sentence-transformers folders lay their vectors. */
export const poolingModes: readonly PoolingMode[] = [
  "cls",
  "max",
  "mean",
  "mean-sqrt-length",
  "weighted-mean",
  "last-token",
];

/** What means are divided by at least. */
const leastSum = 1e-9;

/** Tokens of a packed batch that count, and where each sequence of them begins. */
interface Pooled {
  readonly hidden: Tensor;
  readonly offsets: Int32Array;
  /** Place of each token in its sequence, from 1. */
  readonly places: Float32Array;
  /** What means are divided by, instead of what they would be: [sequences, 1] */
  readonly sums?: Tensor;
}

const column = (values: ArrayLike<number>): Tensor => tensor(Float32Array.from(values), [values.length, 1]);
const lengthsOf = (offsets: Int32Array): number[] => Array.from(offsets.subarray(1), (end, i) => end - offsets[i]);

/** Rows at one place of each sequence; zeros where a sequence is empty. */
function rowsAt(hidden: Tensor, offsets: Int32Array, place: (start: number, end: number) => number): Tensor {
  const lengths = lengthsOf(offsets);
  if (lengths.length === 0 || hidden.shape[0] === 0) return zeros([lengths.length, hidden.shape[1]]);
  const indices = Int32Array.from(lengths, (length, i) => (length > 0 ? place(offsets[i], offsets[i + 1]) : 0));
  const rows = take(hidden, tensor(indices));
  return lengths.every((length) => length > 0) ? rows : mul(rows, column(lengths.map((length) => Number(length > 0))));
}

const poolings: Record<PoolingMode, (pooled: Pooled) => Tensor> = {
  cls: ({ hidden, offsets }) => rowsAt(hidden, offsets, (start) => start),
  "last-token": ({ hidden, offsets }) => rowsAt(hidden, offsets, (_, end) => end - 1),
  mean: ({ hidden, offsets, sums }) =>
    sums === undefined
      ? segmentMean(hidden, tensor(offsets))
      : div(segmentSum(hidden, tensor(offsets)), maximum(sums, leastSum)),
  "mean-sqrt-length": ({ hidden, offsets, sums }) =>
    div(
      segmentSum(hidden, tensor(offsets)),
      sums === undefined
        ? column(lengthsOf(offsets).map((length) => Math.sqrt(Math.max(1, length))))
        : sqrt(maximum(sums, leastSum)),
    ),
  "weighted-mean"({ hidden, offsets, places, sums: given }) {
    if (given !== undefined)
      return div(segmentSum(mul(hidden, column(places)), tensor(offsets)), maximum(given, leastSum));
    const sums = lengthsOf(offsets).map((length, i) => {
      let sum = 0;
      for (let t = 0; t < length; t++) sum += places[offsets[i] + t];
      return Math.max(1e-9, sum);
    });
    return div(segmentSum(mul(hidden, column(places)), tensor(offsets)), column(sums));
  },
  max({ hidden, offsets }) {
    const filled = lengthsOf(offsets).map((length) => length > 0);
    if (filled.every(Boolean)) return segmentMax(hidden, tensor(offsets));
    // Maxima of the sequences that have tokens; the others are zero.
    const ends = Int32Array.from([0, ...offsets.subarray(1).filter((_, i) => filled[i])]);
    const width = hidden.shape[1];
    const rows = ends.length > 1 ? concat([segmentMax(hidden, tensor(ends)), zeros([1, width])], 0) : zeros([1, width]);
    let next = 0;
    return take(rows, tensor(Int32Array.from(filled, (has) => (has ? next++ : ends.length - 1))));
  },
};

/** Without the first `skip` tokens of each sequence. */
function withoutFirst(hidden: Tensor, offsets: Int32Array, skip: number): Pooled {
  const kept: number[] = [];
  const places: number[] = [];
  const ends = [0];
  for (let s = 0; s + 1 < offsets.length; s++) {
    for (let t = offsets[s] + skip; t < offsets[s + 1]; t++) {
      kept.push(t);
      places.push(t - offsets[s] + 1);
    }
    ends.push(kept.length);
  }
  const all = kept.length === hidden.shape[0];
  return {
    hidden: all ? hidden : take(hidden, tensor(Int32Array.from(kept))),
    offsets: Int32Array.from(ends),
    places: Float32Array.from(places),
  };
}

/** The modes of a pooling, at least one. */
export const modesOf = (pooling: Pooling): readonly PoolingMode[] =>
  typeof pooling === "string" ? [pooling] : pooling;

/**
 * One vector per sequence of a packed batch; zeros for a sequence without tokens.
 *
 * @param hidden [tokens, hidden]
 * @param offsets [sequences + 1]
 * @param skip tokens at the beginning of each sequence that do not count (a prompt); default 0
 * @param sums what means are divided by, instead of the number of tokens (or of their places): [sequences, 1]
 * @returns [sequences, hidden x modes]
 */
export function pool(hidden: Tensor, offsets: Int32Array, pooling: Pooling, skip = 0, sums?: Tensor): Tensor {
  const pooled: Pooled = { ...withoutFirst(hidden, offsets, skip), sums };
  const parts = modesOf(pooling).map((mode) => poolings[mode](pooled));
  return parts.length === 1 ? parts[0] : concat(parts, 1);
}
