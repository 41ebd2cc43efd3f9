// Multi-head self-attention (arXiv 1706.03762).
import { selfAttention } from "@cloze/tensor";
import { z } from "zod";
import { defineSlot } from "../part.js";
import { weightSchema } from "../weights/index.js";
import { innerSize } from "./attention-size.js";
import { attendComposed, distanceMask, splitColumns } from "./composed-attention.js";

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
  /** Of the output, where it is another. */
  outputBias: z.boolean().optional(),
  weights: z.strictObject({ queryKeyValue: weightSchema.optional(), output: weightSchema.optional() }).optional(),
});

/** Multi-head self-attention inside each sequence. */
export const attention = defineSlot({
  schema,
  bind({ heads, headSize, dropout: rate, causal, window, bias, outputBias }, hiddenSize) {
    const inner = innerSize("attention", heads, headSize, hiddenSize);
    return {
      matrices: [
        { name: "queryKeyValue", outputs: 3 * inner, inputs: hiddenSize, bias },
        { name: "output", outputs: hiddenSize, inputs: inner, bias: outputBias ?? bias, residual: true },
      ],
      forward(x, { linear }, { batch, offsets, training, seed }) {
        const qkv = linear("queryKeyValue", x);
        const options = { heads, causal, window, dropout: training ? rate : 0, seed: seed("attention") };
        if (batch.visible === undefined) return linear("output", selfAttention(qkv, offsets, options));
        const [q, k, v] = splitColumns(qkv, 3);
        return linear("output", attendComposed(q, k, v, batch, { ...options, mask: distanceMask(options) }));
      },
      plan: (x, { linear, builder }) =>
        linear("output", builder.attention(linear("queryKeyValue", x), { heads, causal, window })),
    };
  },
});
