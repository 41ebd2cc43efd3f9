import { dropout, gate } from "@cloze/tensor";
import { z } from "zod";
import { activationSchema } from "../activation.js";
import { onnxActivation } from "../onnx.js";
import { defineSlot, insideToken } from "../part.js";
import { weightSchema } from "../weights/index.js";

/** Half of the inner dimensions through an activation, times the other half (GeGLU, SwiGLU …; arXiv 2002.05202). */
export const gatedMlp = defineSlot({
  schema: z.strictObject({
    type: z.literal("gated-mlp"),
    /** Of each half. */
    intermediateSize: z.int().min(1),
    activation: activationSchema.default("gelu"),
    bias: z.boolean().default(false),
    /** Before the last matrix, in training. */
    dropout: z.number().min(0).lt(1).default(0),
    weights: z.strictObject({ input: weightSchema.optional(), output: weightSchema.optional() }).optional(),
  }),
  bind({ intermediateSize, activation, bias, dropout: rate }, hiddenSize) {
    return {
      ...insideToken,
      matrices: [
        { name: "input", outputs: 2 * intermediateSize, inputs: hiddenSize, bias },
        { name: "output", outputs: hiddenSize, inputs: intermediateSize, bias, residual: true },
      ],
      forward(x, { linear }, { training, seed }) {
        const inner = gate(linear("input", x), activation);
        return linear("output", training ? dropout(inner, rate, seed("gated")) : inner);
      },
      plan: (x, { linear, builder }) => linear("output", builder.gate(linear("input", x), activation)),
      onnx(x, { linear, graph }) {
        const [bent, other] = graph.split(linear("input", x), [intermediateSize, intermediateSize], 2);
        return linear("output", graph.node("Mul", [onnxActivation(bent, activation, graph), other]));
      },
    };
  },
});
