// Causal attention of new tokens to those that a cache holds and to each other.
import { concat, contiguous, matmul, permute, reshape, selfAttention, slice, type Tensor } from "@cloze/tensor";
import type { SlotCache, SlotContext } from "../part.js";
import { attentionProbabilities, distanceMask, splitColumns } from "./composed-attention.js";

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
  const sequence = { index: 0, start: 0, end: count, length: count, seen: total - low };
  // One new token sees all that is left.
  const hides = count > 1 ? distanceMask({ causal: true, window }) : undefined;
  const mask = hides && ((query: number, key: number) => hides(earlier - low + query, key, sequence));
  const probabilities = attentionProbabilities(byHead(q, heads), k, sequence, { heads, scale, mask });
  return reshape(contiguous(permute(matmul(probabilities, v), [1, 0, 2])), [count, inner]);
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
