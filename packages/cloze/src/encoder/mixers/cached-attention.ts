// Causal attention of new tokens to those that a cache holds and to each other.
import {
  add,
  concat,
  contiguous,
  matmul,
  mul,
  permute,
  reshape,
  selfAttention,
  slice,
  softmax,
  type Tensor,
  tensor,
} from "@cloze/tensor";
import type { SlotCache, SlotContext } from "../part.js";
import { splitColumns } from "./composed-attention.js";

export interface CachedAttentionOptions {
  readonly heads: number;
  /** What scores are multiplied by. */
  readonly scale: number;
  /** A token sees those at most this far before it; 0: all. */
  readonly window: number;
}

/** A view by heads. x: [rows, heads * size] -> [heads, rows, size] */
function byHead(x: Tensor, heads: number): Tensor {
  const [rows, width] = x.shape;
  const [step] = x.strides;
  return x.view([heads, rows, width / heads], [width / heads, step, 1]);
}

/** One sequence. q: [new, inner], keyValue: [earlier + new, 2 inner] -> [new, inner] */
function attendSequence(q: Tensor, keyValue: Tensor, { heads, scale, window }: CachedAttentionOptions): Tensor {
  const [count, inner] = q.shape;
  const [total] = keyValue.shape;
  const earlier = total - count;
  // Where the window of the first new token begins.
  const low = window > 0 ? Math.max(0, earlier - window) : 0;
  const [k, v] = splitColumns(slice(keyValue, [{ start: low }]), 2).map((x) => byHead(x, heads));
  let scores = mul(matmul(byHead(q, heads), permute(k, [0, 2, 1])), scale);
  if (count > 1) {
    const keys = total - low;
    const mask = Float32Array.from({ length: count * keys }, (_, at) => {
      const distance = earlier + Math.floor(at / keys) - (low + (at % keys));
      return distance < 0 || (window > 0 && distance > window) ? -1e30 : 0;
    });
    scores = add(scores, tensor(mask, [count, keys], scores.dtype));
  }
  const mixed = matmul(softmax(scores), v); // [heads, new, size]
  return reshape(contiguous(permute(mixed, [1, 0, 2])), [count, inner]);
}

/**
 * softmax(scale q k^T) v, where keys and values of earlier tokens come from a cache, and those of the new ones go into it.
 * Sequences that nothing was read of run through the kernel for whole sequences; the others cost new x all.
 *
 * @param qkv [tokens, 3 * inner] of the new tokens
 * @returns [tokens, inner]
 */
export function attendCached(
  qkv: Tensor,
  cache: SlotCache,
  { batch, offsets }: SlotContext,
  options: CachedAttentionOptions,
): Tensor {
  const ends = batch.offsets;
  const inner = qkv.shape[1] / 3;
  const runs = Array.from({ length: ends.length - 1 }, (_, s) => s)
    .filter((s) => ends[s + 1] > ends[s])
    .map((s) => {
      const rows = { start: ends[s], end: ends[s + 1] };
      const earlier = cache.length(s);
      return { rows, earlier, keyValue: cache.extend(s, slice(qkv, [rows, { start: inner }])) };
    });
  if (runs.every(({ earlier }) => earlier === 0)) return selfAttention(qkv, offsets, { ...options, causal: true });
  const parts = runs.map(({ rows, keyValue }) => attendSequence(slice(qkv, [rows, { end: inner }]), keyValue, options));
  return parts.length === 1 ? parts[0] : concat(parts, 0);
}
