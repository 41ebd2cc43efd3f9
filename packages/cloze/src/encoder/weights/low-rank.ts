// A matrix as the product of two thin ones.
import { linear, randomNormal, randomUniform } from "@cloze/tensor";
import { z } from "zod";
import { defineWeight, type Initial, type MatrixSpec, type ParameterSpec } from "../part.js";

/** Rows that keep the scale of what they take: uniform in ± 1 / sqrt(inputs). */
const reducing: Initial = (shape, random) => {
  const bound = 1 / Math.sqrt(shape[1]);
  return randomUniform(shape, { seed: random, low: -bound, high: bound });
};

/** So that the product starts with the deviation of BERT's matrices, 0.02: a's numbers have the variance 1 / (3 inputs). */
const expanding =
  ({ inputs }: MatrixSpec, rank: number): Initial =>
  (shape, random) =>
    randomNormal(shape, { seed: random, std: 0.02 * Math.sqrt((3 * inputs) / rank) });

/**
 * y = x aᵀ bᵀ + bias with `a` [rank, inputs] and `b` [outputs, rank]: fewer numbers and less work than a whole matrix where
 * rank < inputs · outputs / (inputs + outputs). `bias` [outputs].
 */
export const lowRank = defineWeight({
  schema: z.strictObject({ type: z.literal("low-rank"), rank: z.int().min(1) }),
  bind({ rank }, matrix) {
    const { outputs, inputs, bias, initial } = matrix;
    const parameters: ParameterSpec[] = [
      { name: "a", shape: [rank, inputs], initial: reducing },
      { name: "b", shape: [outputs, rank], initial: initial === "zeros" ? "zeros" : expanding(matrix, rank) },
      ...(bias ? [{ name: "bias", shape: [outputs], initial: "zeros" as const }] : []),
    ];
    return {
      parameters,
      linear: (x, parameter, { activation }) =>
        linear(linear(x, parameter("a")), parameter("b"), bias ? parameter("bias") : undefined, { activation }),
      plan: (x, parameter, options, builder) =>
        builder.linear(
          builder.linear(x, parameter("a")),
          parameter("b"),
          bias ? parameter("bias") : undefined,
          options,
        ),
      onnx: (x, parameter, options, graph) =>
        graph.linear(
          graph.linear(x, parameter("a"), undefined),
          parameter("b"),
          bias ? parameter("bias") : undefined,
          options,
        ),
    };
  },
});
