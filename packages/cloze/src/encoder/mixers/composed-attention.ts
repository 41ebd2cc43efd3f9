// Attention from primitive operations, sequence by sequence, with a place for what a paper adds to the scores. The plain
// twin of the native kernel, and the way of mixers that have no kernel of their own.
import {
  add,
  concat,
  contiguous,
  dropout,
  matmul,
  mul,
  permute,
  reshape,
  slice,
  softmax,
  type Tensor,
  tensor,
} from "@cloze/tensor";
import { ClozeError } from "../../errors.js";
import type { EncoderBatch } from "../batch.js";

/** One sequence of a batch, as attention sees it. */
export interface AttendedSequence {
  /** Its number in the batch. */
  readonly index: number;
  /** Its rows in the batch are start to end. */
  readonly start: number;
  readonly end: number;
  /** Its tokens, and how many of them (from the first) can be looked at. */
  readonly length: number;
  readonly seen: number;
}

export interface ComposedAttentionOptions {
  readonly heads: number;
  /** What scores are multiplied by. Default 1 / sqrt(head size). */
  readonly scale?: number;
  /** Which keys (column) a query (row) may not look at, by places in the sequence. */
  readonly mask?: ((query: number, key: number, sequence: AttendedSequence) => boolean) | undefined;
  /** Changes the scaled scores before mask and softmax. scores: [heads, length, seen] */
  readonly adjust?: (scores: Tensor, sequence: AttendedSequence) => Tensor;
  /** Share of the probabilities to drop. Default 0. */
  readonly dropout?: number;
  readonly seed?: number;
}

/** Views of equal groups of columns. x: [rows, count * width] -> count times [rows, width] */
export function splitColumns(x: Tensor, count: number): Tensor[] {
  const width = x.shape[1] / count;
  return Array.from({ length: count }, (_, i) => slice(x, [{}, { start: i * width, end: (i + 1) * width }]));
}

/** Rows start to end of x by heads. x: [tokens, heads * size] -> [heads, end - start, size] */
export function headsOf(x: Tensor, heads: number, start: number, end: number): Tensor {
  const rows = contiguous(slice(x, [{ start, end }]));
  return permute(reshape(rows, [end - start, heads, x.shape[1] / heads]), [1, 0, 2]);
}

/**
 * The mask of causal attention and of a window (a token sees those at most so far away; 0: all).
 *
 * @param prefixes tokens at the start of each sequence that causal attention lets all others see. [sequences]
 */
export function distanceMask(
  { causal = false, window = 0 }: { causal?: boolean; window?: number },
  prefixes?: Int32Array,
): ComposedAttentionOptions["mask"] {
  if (!causal && window === 0) return undefined;
  return (i, j, { index }) =>
    (causal && j > i && j >= (prefixes?.[index] ?? 0)) || (window > 0 && Math.abs(i - j) > window);
}

type KeyMask = ComposedAttentionOptions["mask"];

/** A mask that also hides the batch's unseen tokens from all but themselves, and from all what is not its context. */
export function keyMask({ unseen, context }: EncoderBatch, mask: KeyMask): KeyMask {
  if (unseen === undefined && context === undefined) return mask;
  return (i, j, sequence) =>
    context?.[sequence.start + j] === 0 ||
    (unseen?.[sequence.start + j] === 1 && i !== j) ||
    (mask?.(i, j, sequence) ?? false);
}

/** The sequences of a batch that have tokens. @throws BATCH_SHAPE where `visible` does not fit */
export function attendedSequences({ offsets, visible }: EncoderBatch): AttendedSequence[] {
  const count = offsets.length - 1;
  const all = Array.from({ length: count }, (_, index) => {
    const [start, end] = [offsets[index], offsets[index + 1]];
    return { index, start, end, length: end - start, seen: visible?.[index] ?? end - start };
  });
  if (
    (visible !== undefined && visible.length !== count) ||
    all.some(({ length, seen }) => seen < Math.min(1, length) || seen > length)
  ) {
    throw new ClozeError("BATCH_SHAPE", "visible counts tokens of each sequence", {
      expected: `from 1 to the length, for each of ${count} sequences`,
      received: `[${visible?.slice(0, 8).join(", ")}]`,
    });
  }
  return all.filter(({ length }) => length > 0);
}

/** Probabilities of one sequence. q: [heads, length, size], k: [heads, seen, size] -> [heads, length, seen] */
export function attentionProbabilities(
  q: Tensor,
  k: Tensor,
  sequence: AttendedSequence,
  { scale, mask, adjust, dropout: rate = 0, seed = 0 }: ComposedAttentionOptions,
): Tensor {
  const { length, index } = sequence;
  let scores = mul(matmul(q, permute(k, [0, 2, 1])), scale ?? 1 / Math.sqrt(q.shape[2]));
  if (adjust !== undefined) scores = adjust(scores, sequence);
  if (mask !== undefined) {
    const keys = k.shape[1];
    const penalty = Float32Array.from({ length: length * keys }, (_, at) =>
      mask(Math.floor(at / keys), at % keys, sequence) ? -1e30 : 0,
    );
    scores = add(scores, tensor(penalty, [length, keys], scores.dtype));
  }
  return dropout(softmax(scores), rate, seed + index);
}

/** softmax(scores) v for each sequence and head. q, k, v: [tokens, heads * size] -> [tokens, heads * size] */
export function attendComposed(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  batch: EncoderBatch,
  options: ComposedAttentionOptions,
): Tensor {
  const { heads, mask } = options;
  // A query that sees no key at all looks at every token alike, padding too, as it does in libraries that pad: with a mask,
  // keys that are not seen are masked instead of left out.
  const masked =
    mask === undefined
      ? options
      : {
          ...options,
          mask: (i: number, j: number, sequence: AttendedSequence) => j >= sequence.seen || mask(i, j, sequence),
        };
  const parts = attendedSequences(batch).map((sequence) => {
    const { start, end, length, seen } = sequence;
    const count = mask === undefined ? seen : length;
    const keys = headsOf(k, heads, start, start + count);
    const probabilities = attentionProbabilities(headsOf(q, heads, start, end), keys, sequence, masked);
    const mixed = permute(matmul(probabilities, headsOf(v, heads, start, start + count)), [1, 0, 2]);
    return reshape(contiguous(mixed), [length, v.shape[1]]);
  });
  return parts.length === 0 ? mul(v, 0) : concat(parts, 0);
}
