// LSTM and GRU as mixers: the encoders that attention replaced, under the same heads and trainers.
import {
  dropout,
  gru,
  lstm,
  mul,
  ones,
  type Random,
  randomUniform,
  type Shape,
  type Tensor,
  take,
  tensor,
} from "@cloze/tensor";
import { z } from "zod";
import { ClozeError } from "../../errors.js";
import { defineSlot, type Initial, type MatrixSpec } from "../part.js";
import { weightSchema } from "../weights/index.js";
import { visibleEnds } from "./visible-ends.js";

const schema = z.strictObject({
  type: z.literal("recurrent"),
  cell: z.enum(["lstm", "gru"]),
  /** Both ways through each sequence; the two results stand side by side. */
  bidirectional: z.boolean().default(true),
  /** Width of the state of each direction. Default: hiddenSize / directions. */
  units: z.int().min(1).optional(),
  /** A matrix after the cell. Default: where directions x units is not hiddenSize. */
  projection: z.boolean().optional(),
  /** Share of the inputs' dimensions to drop in training, the same ones at all steps of a sequence (arXiv 1512.05287). */
  dropout: z.number().min(0).lt(1).default(0),
  /**
   * What the bias of an LSTM's forget gate starts at: 1 lets a new network remember (Jozefowicz et al., 2015); PyTorch
   * starts about 0.
   */
  forgetBias: z.number().default(1),
  weights: z.strictObject({ input: weightSchema.optional(), output: weightSchema.optional() }).optional(),
});
type Config = z.output<typeof schema>;

/** PyTorch's start: every weight equally likely in +-1 / sqrt(units). */
const uniform =
  (units: number): Initial =>
  (shape: Shape, random: Random): Tensor =>
    randomUniform(shape, { seed: random, low: -1 / Math.sqrt(units), high: 1 / Math.sqrt(units) });

/** Zeros but for the forget gate. Gates stand in the order i, f, g, o, for each direction. */
const forgetful =
  (units: number, value: number): Initial =>
  ([size]: Shape): Tensor =>
    tensor(Float32Array.from({ length: size }, (_, i) => (Math.floor(i / units) % 4 === 1 ? value : 0)));

interface Sizes {
  readonly directions: number;
  readonly units: number;
  readonly projection: boolean;
}

function sizesOf({ bidirectional, units, projection }: Config, hiddenSize: number): Sizes {
  const directions = bidirectional ? 2 : 1;
  const chosen = units ?? hiddenSize / directions;
  const same = chosen * directions === hiddenSize;
  if (Number.isInteger(chosen) && (same || projection !== false)) {
    return { directions, units: chosen, projection: projection ?? !same };
  }
  throw new ClozeError("CONFIG_INVALID", "recurrent: the states do not add up to the hidden size", {
    expected: `units of ${hiddenSize / directions} for hiddenSize ${hiddenSize} and ${directions} directions, or a projection`,
    received: `units ${chosen}, projection ${projection}`,
    remedy: "Leave projection out, or change units or hiddenSize.",
  });
}

/** Drops the same dimensions at all tokens of a sequence. x: [tokens, hidden] */
function dropDimensions(x: Tensor, ends: Int32Array, rate: number, seed: number): Tensor {
  if (rate === 0 || x.size === 0) return x;
  const mask = dropout(ones([ends.length - 1, x.shape[1]], x.dtype), rate, seed);
  const owners = new Int32Array(x.shape[0]);
  for (let s = 0; s + 1 < ends.length; s++) owners.fill(s, ends[s], ends[s + 1]);
  return mul(x, take(mask, tensor(owners)));
}

/**
 * A recurrent network over each sequence: LSTM (Hochreiter and Schmidhuber, 1997) or GRU (arXiv 1406.1078), one or both
 * ways, from a state of zeros. Parameters are PyTorch's, both directions below each other: `input.weight` is `weight_ih`,
 * `recurrent.weight` `weight_hh`. Tokens that are not seen begin a sequence of their own behind those that are.
 */
export const recurrent = defineSlot({
  schema,
  bind(config, hiddenSize) {
    const { cell, forgetBias, dropout: rate } = config;
    const { directions, units, projection } = sizesOf(config, hiddenSize);
    const gates = directions * (cell === "lstm" ? 4 : 3) * units;
    const run = cell === "lstm" ? lstm : gru;
    const output: MatrixSpec = {
      name: "output",
      outputs: hiddenSize,
      inputs: directions * units,
      bias: true,
      residual: true,
    };
    return {
      matrices: [
        { name: "input", outputs: gates, inputs: hiddenSize, bias: true, initial: uniform(units) },
        ...(projection ? [output] : []),
      ],
      vectors: [
        { name: "recurrent.weight", shape: [gates, units], initial: uniform(units) },
        { name: "recurrent.bias", shape: [gates], initial: cell === "lstm" ? forgetful(units, forgetBias) : "zeros" },
      ],
      forward(x, { linear, parameter }, { batch, training, seed, once }) {
        const ends = once("visible-ends", () => visibleEnds(batch));
        const input = training ? dropDimensions(x, ends, rate, seed("recurrent")) : x;
        const hidden = run(linear("input", input), parameter("recurrent.weight"), tensor(ends), {
          bias: parameter("recurrent.bias"),
          direction: directions === 2 ? "both" : "forward",
        });
        return projection ? linear("output", hidden) : hidden;
      },
    };
  },
});
