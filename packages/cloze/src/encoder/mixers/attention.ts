// Multi-head self-attention (arXiv 1706.03762).
import {
  type AttentionOptions,
  add,
  concat,
  contiguous,
  dropout,
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
import { z } from "zod";
import { ClozeError } from "../../errors.js";
import type { EncoderBatch } from "../batch.js";
import { defineSlot } from "../part.js";
import { weightSchema } from "../weights/index.js";

const schema = z.strictObject({
  type: z.literal("attention"),
  heads: z.int().min(1),
  /** Default: hiddenSize / heads. */
  headSize: z.int().min(1).optional(),
  /** Share of the attention probabilities to drop in training. */
  dropout: z.number().min(0).lt(1).default(0.1),
  /** A token sees itself and what stands before it. */
  causal: z.boolean().default(false),
  /** A token sees those at most this far away; 0: all of its sequence. */
  window: z.int().min(0).default(0),
  bias: z.boolean().default(true),
  weights: z.strictObject({ queryKeyValue: weightSchema.optional(), output: weightSchema.optional() }).optional(),
});

/** The definition for batches in which some tokens are not seen; sequence by sequence. qkv: [tokens, 3 inner] -> [tokens, inner] */
function attendVisible(
  qkv: Tensor,
  { offsets }: EncoderBatch,
  visible: Int32Array,
  { heads, causal, window = 0, dropout: rate = 0, seed = 0 }: AttentionOptions & { heads: number },
): Tensor {
  const inner = qkv.shape[1] / 3;
  const size = inner / heads;
  const parts: Tensor[] = [];
  visible.forEach((seen, s) => {
    const [start, end] = [offsets[s], offsets[s + 1]];
    if (end === start) return;
    const part = (third: number, last: number): Tensor => {
      const columns = slice(qkv, [
        { start, end: last },
        { start: third * inner, end: (third + 1) * inner },
      ]);
      return permute(reshape(contiguous(columns), [last - start, heads, size]), [1, 0, 2]); // [heads, length, size]
    };
    let scores = mul(matmul(part(0, end), permute(part(1, start + seen), [0, 2, 1])), 1 / Math.sqrt(size));
    if (causal || window > 0) {
      const mask = Float32Array.from({ length: (end - start) * seen }, (_, at) => {
        const [i, j] = [Math.floor(at / seen), at % seen];
        return (causal && j > i) || (window > 0 && Math.abs(i - j) > window) ? -1e30 : 0;
      });
      scores = add(scores, tensor(mask, [end - start, seen]));
    }
    const probabilities = dropout(softmax(scores), rate, seed + s); // [heads, length, seen]
    const mixed = permute(matmul(probabilities, part(2, start + seen)), [1, 0, 2]);
    parts.push(reshape(contiguous(mixed), [end - start, inner]));
  });
  return concat(parts, 0);
}

function checkVisible({ offsets }: EncoderBatch, visible: Int32Array): void {
  const fits = visible.every((seen, s) => {
    const length = offsets[s + 1] - offsets[s];
    return seen >= Math.min(1, length) && seen <= length;
  });
  if (fits && visible.length === offsets.length - 1) return;
  throw new ClozeError("BATCH_SHAPE", "visible counts tokens of each sequence", {
    expected: `from 1 to the length, for each of ${offsets.length - 1} sequences`,
    received: `[${visible.slice(0, 8).join(", ")}]`,
  });
}

/** Multi-head self-attention inside each sequence. */
export const attention = defineSlot({
  schema,
  bind({ heads, headSize, dropout: rate, causal, window, bias }, hiddenSize) {
    if (headSize === undefined && hiddenSize % heads !== 0) {
      throw new ClozeError("CONFIG_INVALID", "attention: the hidden size is no multiple of the number of heads", {
        received: `hiddenSize ${hiddenSize}, heads ${heads}`,
        remedy: "Change one of them, or give headSize.",
      });
    }
    const inner = heads * (headSize ?? hiddenSize / heads);
    return {
      matrices: [
        { name: "queryKeyValue", outputs: 3 * inner, inputs: hiddenSize, bias },
        { name: "output", outputs: hiddenSize, inputs: inner, bias, residual: true },
      ],
      forward(x, { linear }, { batch, offsets, training, seed }) {
        const qkv = linear("queryKeyValue", x);
        const options = { heads, causal, window, dropout: training ? rate : 0, seed: seed("attention") };
        const { visible } = batch;
        if (visible === undefined) return linear("output", selfAttention(qkv, offsets, options));
        checkVisible(batch, visible);
        return linear("output", attendVisible(qkv, batch, visible, options));
      },
    };
  },
});
