// Convolutions over the tokens of each sequence (TextCNN, arXiv 1408.5882).
import {
  activation,
  add,
  dropout,
  planActivation,
  planConvolution,
  type Random,
  randomUniform,
  reshape,
  type Shape,
  scatterRows,
  slice,
  type Tensor,
  tensor,
} from "@cloze/tensor";
import { z } from "zod";
import { ClozeError } from "../../errors.js";
import { activationSchema } from "../activation.js";
import { defineSlot, type Initial, type MatrixSpec } from "../part.js";
import { weightSchema } from "../weights/index.js";
import { visibleEnds } from "./visible-ends.js";

const schema = z.strictObject({
  type: z.literal("convolution"),
  /** Widths in tokens, each with channels of its own; the results stand side by side. */
  kernels: z.array(z.int().min(1)).min(1).default([3, 4, 5]),
  /** Channels of each width. Default: hiddenSize / kernels. */
  channels: z.int().min(1).optional(),
  activation: activationSchema.default("relu"),
  /** Before the activation, in training. */
  dropout: z.number().min(0).lt(1).default(0),
  /** A matrix after the activation. Default: where kernels x channels is not hiddenSize. */
  projection: z.boolean().optional(),
  weights: z.strictObject({ kernels: weightSchema.optional(), output: weightSchema.optional() }).optional(),
});
type Config = z.output<typeof schema>;

function sizesOf({ kernels, channels, projection }: Config, hiddenSize: number) {
  const chosen = channels ?? hiddenSize / kernels.length;
  const same = chosen * kernels.length === hiddenSize;
  if (Number.isInteger(chosen) && (same || projection !== false)) {
    return { channels: chosen, projection: projection ?? !same };
  }
  throw new ClozeError("CONFIG_INVALID", "convolution: the channels do not add up to the hidden size", {
    expected: `${hiddenSize} channels over ${kernels.length} kernels, or channels and a projection`,
    received: `channels ${channels}, projection ${projection}`,
    remedy: "Give channels and leave projection out, or change hiddenSize or kernels.",
  });
}

/** PyTorch's start: +-1 / sqrt(numbers that a channel sums), which differs by the width of the kernel. */
const byReach =
  (kernels: readonly number[], channels: number, hiddenSize: number): Initial =>
  (shape: Shape, random: Random): Tensor => {
    const bounds = kernels.flatMap((taps) => new Array<number>(taps * channels).fill(1 / Math.sqrt(taps * hiddenSize)));
    const values = randomUniform(shape, { seed: random, low: -1, high: 1 });
    const scaled = values.toTypedArray().map((value, i) => value * bounds[Math.floor(i / shape[1])]);
    values.dispose();
    return tensor(scaled as Float32Array, shape);
  };

/**
 * For each token and each tap of each kernel: the row (token x kernels + kernel) that its product is added to; the row
 * behind the last one takes those that fall out of the sequence.
 */
export function targetRows(ends: Int32Array, kernels: readonly number[]): Int32Array {
  const tokens = ends[ends.length - 1];
  const taps = kernels.reduce((a, b) => a + b, 0);
  const rows = new Int32Array(tokens * taps);
  for (let s = 0; s + 1 < ends.length; s++) {
    for (let token = ends[s]; token < ends[s + 1]; token++) {
      let at = token * taps;
      kernels.forEach((width, k) => {
        const before = Math.floor((width - 1) / 2);
        for (let tap = 0; tap < width; tap++) {
          // Output i reads token i - before + tap.
          const output = token + before - tap;
          const inside = output >= ends[s] && output < ends[s + 1];
          rows[at++] = inside ? output * kernels.length + k : tokens * kernels.length;
        }
      });
    }
  }
  return rows;
}

/**
 * Adds up, for each token and each kernel, what the products of its taps gave: the kernels' results side by side.
 *
 * @param products of each token with each tap of each kernel. [tokens, taps x channels]
 * @param rows `targetRows` of the same kernels
 * @returns [tokens, kernels x channels]
 */
export function convolveTokens(products: Tensor, rows: Int32Array, kernels: readonly number[], channels: number) {
  const [tokens] = products.shape;
  const outputs = tokens * kernels.length;
  const byTap = reshape(products, [rows.length, channels]);
  const sums = scatterRows(byTap, tensor(rows), outputs + 1);
  return reshape(slice(sums, [{ end: outputs }]), [tokens, kernels.length * channels]);
}

/**
 * One-dimensional convolutions over the tokens of each sequence, with zeros beyond its borders: output i of a kernel of
 * width w reads tokens i - floor((w - 1) / 2) to i + ceil((w - 1) / 2). `kernels.weight` holds, for each kernel and each
 * of its taps, [channels, hidden]; one product multiplies all tokens with all taps, and the results are added up where
 * they belong.
 */
export const textConvolution = defineSlot({
  schema,
  bind(config, hiddenSize) {
    const { kernels, activation: name } = config;
    const { channels, projection } = sizesOf(config, hiddenSize);
    const taps = kernels.reduce((a, b) => a + b, 0);
    const width = kernels.length * channels;
    const output: MatrixSpec = { name: "output", outputs: hiddenSize, inputs: width, bias: true, residual: true };
    return {
      matrices: [
        {
          name: "kernels",
          outputs: taps * channels,
          inputs: hiddenSize,
          bias: false,
          initial: byReach(kernels, channels, hiddenSize),
        },
        ...(projection ? [output] : []),
      ],
      vectors: [{ name: "bias", shape: [width], initial: "zeros" }],
      forward(x, { linear, parameter }, { batch, once, training, seed }) {
        const ends = once("visible-ends", () => visibleEnds(batch));
        const rows = once(`convolution ${kernels.join()}`, () => targetRows(ends, kernels));
        const z = add(convolveTokens(linear("kernels", x), rows, kernels, channels), parameter("bias"));
        const y = activation(training ? dropout(z, config.dropout, seed("convolution")) : z, name);
        return projection ? linear("output", y) : y;
      },
      plan(x, { linear, parameter, builder }) {
        const products = linear("kernels", x);
        const sums = builder.value(width);
        let from = 0;
        kernels.forEach((reach, k) => {
          const options = {
            taps: reach,
            width: channels,
            tapColumns: channels,
            into: { of: sums, from: k * channels },
          };
          planConvolution({ of: products, from }, options, builder);
          from += reach * channels;
        });
        const y = planActivation(builder.addVector(sums, parameter("bias")), name, builder);
        return projection ? linear("output", y) : y;
      },
    };
  },
});
