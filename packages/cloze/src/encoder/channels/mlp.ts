import { z } from "zod";
import { activationSchema } from "../activation.js";
import { defineSlot, insideToken } from "../part.js";
import { weightSchema } from "../weights/index.js";

/** Two matrices with an activation between them. */
export const mlp = defineSlot({
  schema: z.strictObject({
    type: z.literal("mlp"),
    intermediateSize: z.int().min(1),
    activation: activationSchema.default("gelu"),
    bias: z.boolean().default(true),
    weights: z.strictObject({ input: weightSchema.optional(), output: weightSchema.optional() }).optional(),
  }),
  bind({ intermediateSize, activation, bias }, hiddenSize) {
    return {
      ...insideToken,
      matrices: [
        { name: "input", outputs: intermediateSize, inputs: hiddenSize, bias },
        { name: "output", outputs: hiddenSize, inputs: intermediateSize, bias, residual: true },
      ],
      forward: (x, { linear }) => linear("output", linear("input", x, { activation })),
      plan: (x, { linear }) => linear("output", linear("input", x, { activation })),
      onnx: (x, { linear }) => linear("output", linear("input", x, { activation })),
    };
  },
});
