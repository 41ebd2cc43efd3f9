// Multi-head self-attention (arXiv 1706.03762).
import { selfAttention } from "@cloze/tensor";
import { z } from "zod";
import { ClozeError } from "../../errors.js";
import { defineSlot } from "../part.js";
import { weightSchema } from "../weights/index.js";
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
  weights: z.strictObject({ queryKeyValue: weightSchema.optional(), output: weightSchema.optional() }).optional(),
});

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
        if (batch.visible === undefined) return linear("output", selfAttention(qkv, offsets, options));
        const [q, k, v] = splitColumns(qkv, 3);
        return linear("output", attendComposed(q, k, v, batch, { ...options, mask: distanceMask(options) }));
      },
    };
  },
});
