// Multi-head self-attention (arXiv 1706.03762).
import { rotary, selfAttention, tensor } from "@cloze/tensor";
import { z } from "zod";
import { defineSlot } from "../part.js";
import { weightSchema } from "../weights/index.js";
import { onnxAttention, onnxRotary } from "./attention-onnx.js";
import { innerSize } from "./attention-size.js";
import { attendBlocks } from "./block-attention.js";
import { attendCached } from "./cached-attention.js";
import { attendComposed, distanceMask, keyMask, splitColumns } from "./composed-attention.js";
import { planContext } from "./context-attention.js";
import { batchAngles, rotaryAngles, rotarySchema } from "./rotary-positions.js";

const schema = z.strictObject({
  type: z.literal("attention"),
  heads: z.int().min(1),
  /** Default: hiddenSize / heads. */
  headSize: z.int().min(1).optional(),
  /** Share of the attention probabilities to drop in training. */
  dropout: z.number().min(0).lt(1).default(0.1),
  /** A token sees itself and what stands before it. */
  causal: z.boolean().default(false),
  /**
   * Which way a token looks, instead of `causal`: "prefix" sees the batch's prefix and what stands before (UniLM, arXiv
   * 1905.03197).
   */
  direction: z.enum(["bidirectional", "causal", "prefix"]).optional(),
  /** A token sees those at most this far away; 0: all of its sequence. */
  window: z.int().min(0).default(0),
  /** What scores are multiplied by, besides 1 / sqrt(head size). Default: 1. */
  scoreScale: z.number().positive().optional(),
  /** Queries and keys are turned by their places. Default: not. */
  rotary: rotarySchema.optional(),
  bias: z.boolean().default(true),
  /** Of the output, where it is another. */
  outputBias: z.boolean().optional(),
  weights: z.strictObject({ queryKeyValue: weightSchema.optional(), output: weightSchema.optional() }).optional(),
});

/** Multi-head self-attention inside each sequence. */
export const attention = defineSlot({
  schema,
  bind(config, hiddenSize, encoder) {
    const { heads, headSize, dropout: rate, window, rotary: turns, bias, outputBias } = config;
    const prefixed = config.direction === "prefix";
    const causal = config.direction === undefined ? config.causal : config.direction !== "bidirectional";
    const inner = innerSize("attention", heads, headSize, hiddenSize);
    const size = inner / heads;
    const scale = (config.scoreScale ?? 1) / Math.sqrt(size);
    const turned =
      turns === undefined
        ? undefined
        : { heads: (turns.values ? 3 : 2) * heads, size, interleaved: turns.interleaved, angles: turns };
    return {
      matrices: [
        { name: "queryKeyValue", outputs: 3 * inner, inputs: hiddenSize, bias },
        { name: "output", outputs: hiddenSize, inputs: inner, bias: outputBias ?? bias, residual: true },
      ],
      ...(causal || window > 0 ? {} : { hides: true as const }),
      heedsContext: true,
      // Keys and values, turned already.
      ...(causal && !prefixed ? { cacheWidth: 2 * inner } : {}),
      ...(causal || window > 0 || turned !== undefined ? {} : { unordered: true as const }),
      // Scores and their sums of values; half of the keys where a token sees only what stands before it.
      flops: (length, looked = length) => {
        const keys = window > 0 ? Math.min(looked, 2 * window + 1) : looked;
        return 4 * length * (causal ? keys / 2 : keys) * inner;
      },
      forward(x, { linear, linearParts }, context) {
        const { batch, offsets, training, cache, seed, once } = context;
        const options = { heads, scale, causal, window, dropout: training ? rate : 0, seed: seed("attention") };
        const masked = prefixed && batch.prefixes !== undefined;
        // Keys that nobody looks at are never made, where nothing depends on places.
        if (
          batch.context !== undefined &&
          batch.unseen === undefined &&
          !masked &&
          !causal &&
          window === 0 &&
          turned === undefined &&
          config.scoreScale === undefined
        ) {
          const { rows, plans } = once("context", () => planContext(batch));
          const [q, kv] = linearParts("queryKeyValue", x, [
            { start: 0, end: inner },
            { start: inner, end: 3 * inner, rows },
          ]);
          const [k, v] = splitColumns(kv, 2);
          return linear("output", attendBlocks(q, k, v, plans, options));
        }
        let qkv = linear("queryKeyValue", x);
        if (turned !== undefined) {
          const { cosines, sines } = batchAngles(context, size, turned.angles);
          qkv = rotary(qkv, cosines, sines, turned);
        }
        if (cache !== undefined) return linear("output", attendCached(qkv, cache, context, { heads, scale, window }));
        const whole = batch.visible === undefined && batch.context === undefined;
        if (whole && !masked) {
          const { unseen } = batch;
          const hidden = unseen && tensor(once("unseen", () => Int32Array.from(unseen)));
          return linear("output", selfAttention(qkv, offsets, { ...options, hidden }));
        }
        const [q, k, v] = splitColumns(qkv, 3);
        return linear(
          "output",
          attendComposed(q, k, v, batch, {
            ...options,
            mask: keyMask(batch, distanceMask(options, prefixed ? batch.prefixes : undefined)),
          }),
        );
      },
      plan(x, { linear, builder, onlyFor }) {
        onlyFor(
          ({ unseen, context, prefixes }) =>
            unseen === undefined && context === undefined && !(prefixed && prefixes !== undefined),
        );
        let qkv = linear("queryKeyValue", x);
        if (turned !== undefined) {
          const places = Array.from({ length: encoder.maxPositions }, (_, place) => place);
          const { cosines, sines } = rotaryAngles(places, size, turned.angles);
          qkv = builder.rotary(qkv, cosines, sines, builder.inputs.positions, turned);
        }
        return linear("output", builder.attention(qkv, { heads, scale, causal, window }));
      },
      onnx(x, { linear, graph }) {
        let qkv = linear("queryKeyValue", x);
        if (turned !== undefined) qkv = onnxRotary(qkv, turned, 3 * inner, encoder.maxPositions, graph);
        return linear("output", onnxAttention(qkv, { heads, size, scale, causal, window }, graph));
      },
    };
  },
});
