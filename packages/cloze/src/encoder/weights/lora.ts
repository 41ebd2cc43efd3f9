// LoRA (arXiv 2106.09685): a matrix that stays as it is, and a product of two thin ones that is trained beside it.
import {
  activation,
  add,
  concat,
  dropout,
  linear,
  matmul,
  mul,
  randomUniform,
  slice,
  type Tensor,
  zeros,
} from "@cloze/tensor";
import { z } from "zod";
import { ClozeError } from "../../errors.js";
import { unplanned } from "../norm.js";
import { type BoundWeight, defineWeight, type Initial, type MatrixSpec, type ParameterSpec } from "../part.js";

/** As PyTorch's Linear starts: uniform in ± 1 / sqrt(inputs) (Kaiming, a = sqrt(5)). */
const kaimingUniform: Initial = (shape, random) => {
  const bound = 1 / Math.sqrt(shape[1]);
  return randomUniform(shape, { seed: random, low: -bound, high: bound });
};

/** The names of a block's two matrices: A [rank, inputs], B [outputs / blocks, rank]. */
export const loraNames = (block: number): { a: string; b: string } => ({
  a: `lora.${block}.a`,
  b: `lora.${block}.b`,
});

/**
 * LoRA over the ways in which a matrix can be stored: y = base(x) + alpha / rank · dropout(x) Aᵀ Bᵀ. A fused matrix (query,
 * key and value, one below the other) is several `blocks` of outputs, of which each one in `targets` has an A and a B of its
 * own; all see x with the same elements dropped.
 */
export const loraOver = <Base, BaseInput>(
  baseSchema: z.ZodType<Base, BaseInput>,
  bindBase: (config: Base, matrix: MatrixSpec) => BoundWeight,
) =>
  defineWeight({
    schema: z.strictObject({
      type: z.literal("lora"),
      rank: z.int().min(1),
      alpha: z.number().positive(),
      /** Of what A takes, in training. */
      dropout: z.number().min(0).lt(1).default(0),
      /** Equal parts of the outputs. */
      blocks: z.int().min(1).default(1),
      /** The blocks that are adapted. Default: all. */
      targets: z.array(z.int().min(0)).min(1).readonly().optional(),
      base: baseSchema,
    }),
    bind({ rank, alpha, dropout: rate, blocks, targets, base }, matrix) {
      const { outputs, inputs } = matrix;
      const adapted = [...new Set(targets ?? Array.from({ length: blocks }, (_, block) => block))].sort(
        (a, b) => a - b,
      );
      if (outputs % blocks !== 0 || adapted.some((block) => block >= blocks)) {
        throw new ClozeError("CONFIG_INVALID", `lora: the outputs of ${matrix.name} have no such blocks`, {
          expected: `blocks that divide ${outputs} outputs, and targets below their number`,
          received: `blocks ${blocks}, targets ${adapted.join(", ")}`,
        });
      }
      const height = outputs / blocks;
      const own = adapted.flatMap((block): ParameterSpec[] => {
        const { a, b } = loraNames(block);
        return [
          { name: a, shape: [rank, inputs], initial: kaimingUniform },
          { name: b, shape: [height, rank], initial: "zeros" },
        ];
      });
      const bound = bindBase(base, matrix);
      return {
        parameters: [...bound.parameters, ...own],
        linear(x, parameter, { activation: name = "none", seed }) {
          const y = bound.linear(x, parameter, { seed });
          const first = adapted.map((block) => parameter(loraNames(block).a));
          const dropped = seed === undefined ? x : dropout(x, rate, seed);
          const inside = mul(linear(dropped, first.length === 1 ? first[0] : concat(first, 0)), alpha / rank);
          const column = (block: number): Tensor => {
            const place = adapted.indexOf(block);
            if (place < 0) return zeros([x.shape[0], height], x.dtype);
            const part =
              first.length === 1 ? inside : slice(inside, [{}, { start: place * rank, end: (place + 1) * rank }]);
            return linear(part, parameter(loraNames(block).b));
          };
          const columns = Array.from({ length: blocks }, (_, block) => column(block));
          const adaptedY = add(y, blocks === 1 ? columns[0] : concat(columns, 1));
          return name === "none" ? adaptedY : activation(adaptedY, name);
        },
        // With what was learned beside it added to the matrix, where that is a matrix.
        plan(x, parameter, options, builder) {
          if (bound.plan === undefined || bound.parameters[0]?.shape.join() !== [outputs, inputs].join())
            throw unplanned("adapters beside weights that are no plain matrix");
          const parts = Array.from({ length: blocks }, (_, block) => {
            if (!adapted.includes(block)) return zeros([height, inputs]);
            const { a, b } = loraNames(block);
            return mul(matmul(parameter(b), parameter(a)), alpha / rank);
          });
          const merged = (name: string): Tensor =>
            name === "weight" ? add(parameter(name), concat(parts, 0)) : parameter(name);
          return bound.plan(x, merged, options, builder);
        },
      };
    },
  });
