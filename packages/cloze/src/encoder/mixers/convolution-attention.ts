// Attention beside a convolution whose kernels follow from the text (ConvBERT, arXiv 2008.02496).
import {
  concat,
  mul,
  planConvolution,
  planMultiply,
  planSoftmax,
  reshape,
  selfAttention,
  slice,
  softmax,
  type Tensor,
  transpose,
} from "@cloze/tensor";
import { z } from "zod";
import { ClozeError } from "../../errors.js";
import { defineSlot } from "../part.js";
import { weightSchema } from "../weights/index.js";
import { attendComposed, splitColumns } from "./composed-attention.js";
import { depthwiseConvolution, oddSchema, sumOverTaps } from "./token-shifts.js";

const matrices = ["queryKeyValue", "pointwise", "kernel", "values", "output"] as const;
const schema = z.strictObject({
  type: z.literal("convolution-attention"),
  /** Of the attention, and as many kernels. */
  heads: z.int().min(1),
  /** Default: half of hiddenSize / heads, so that attention and convolution are together as wide as the encoder. */
  headSize: z.int().min(1).optional(),
  /** Tokens that a kernel reaches; odd. */
  kernelSize: oddSchema.default(9),
  /** Share of the attention probabilities to drop in training. */
  dropout: z.number().min(0).lt(1).default(0.1),
  weights: z
    .strictObject(
      Object.fromEntries(matrices.map((name) => [name, weightSchema.optional()])) as Record<
        (typeof matrices)[number],
        z.ZodOptional<typeof weightSchema>
      >,
    )
    .optional(),
});

/**
 * Half of the width is attention, the other half a span-based dynamic convolution: the kernel of each token and head is
 * softmax(W (q * s)), where s is a separable convolution of what the layer takes (depthwise over `kernelSize` tokens, then
 * a matrix), and it weighs the values of the tokens around. Both halves stand side by side before the last matrix.
 *
 * Convolutions end with their sequence. Tokens that a batch calls not visible are seen by them all the same, as padding is
 * by ConvBERT in transformers: what a shorter text becomes there depends on how far its batch was padded.
 */
export const convolutionAttention = defineSlot({
  schema,
  bind({ heads, headSize, kernelSize, dropout: rate }, hiddenSize) {
    const size = headSize ?? hiddenSize / heads / 2;
    if (!Number.isInteger(size)) {
      throw new ClozeError("CONFIG_INVALID", "convolution-attention: half a head has no whole size", {
        expected: "a hidden size that is a multiple of twice the number of heads, or a headSize",
        received: `hiddenSize ${hiddenSize}, heads ${heads}`,
      });
    }
    const width = heads * size;
    const matrix = (name: (typeof matrices)[number], outputs: number, inputs: number) => ({
      name,
      outputs,
      inputs,
      bias: true,
    });
    /** x * kernel, where each token and head has its own. values: [tokens, width], kernels: [tokens x heads, taps] */
    const convolve = (values: Tensor, kernels: Tensor, context: Parameters<typeof sumOverTaps>[2]): Tensor => {
      const [tokens] = values.shape;
      const sum = sumOverTaps(values, kernelSize, context, (neighbour, tap) => {
        const weights = slice(kernels, [{}, { start: tap, end: tap + 1 }]);
        return mul(reshape(neighbour, [tokens * heads, size]), weights);
      });
      return reshape(sum, [tokens, width]);
    };
    return {
      matrices: [
        matrix("queryKeyValue", 3 * width, hiddenSize),
        matrix("pointwise", width, hiddenSize),
        matrix("kernel", heads * kernelSize, width),
        matrix("values", width, hiddenSize),
        { ...matrix("output", hiddenSize, 2 * width), residual: true },
      ],
      vectors: [{ name: "depthwise", shape: [hiddenSize, kernelSize], initial: "normal" }],
      forward(x, { linear, parameter }, context) {
        const { batch, offsets, training, seed } = context;
        const [tokens] = x.shape;
        const qkv = linear("queryKeyValue", x);
        const [q, k, v] = splitColumns(qkv, 3);
        const options = { heads, dropout: training ? rate : 0, seed: seed("attention") };
        const attended =
          batch.visible === undefined ? selfAttention(qkv, offsets, options) : attendComposed(q, k, v, batch, options);
        const spans = linear("pointwise", depthwiseConvolution(x, parameter("depthwise"), context));
        const kernels = softmax(reshape(linear("kernel", mul(spans, q)), [tokens * heads, kernelSize]));
        return linear("output", concat([attended, convolve(linear("values", x), kernels, context)], 1));
      },
      plan(x, { linear, parameter, builder }) {
        const qkv = linear("queryKeyValue", x);
        const kernel = transpose(parameter("depthwise"));
        const near = planConvolution({ of: x, from: 0 }, { taps: kernelSize, weights: { ofColumns: kernel } }, builder);
        const spans = planMultiply(linear("pointwise", near), { of: qkv, from: 0 }, builder);
        const kernels = planSoftmax(linear("kernel", spans), heads, builder);
        const both = builder.value(2 * width);
        builder.attention(qkv, { heads, into: { of: both, from: 0 } });
        planConvolution(
          { of: linear("values", x), from: 0 },
          { taps: kernelSize, weights: { ofTokens: kernels, heads }, into: { of: both, from: width } },
          builder,
        );
        return linear("output", both);
      },
    };
  },
});
