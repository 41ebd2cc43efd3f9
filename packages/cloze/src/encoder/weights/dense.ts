import { linear, slice } from "@cloze/tensor";
import { z } from "zod";
import { defineWeight, type ParameterSpec } from "../part.js";

/** A matrix as it is: `weight` [outputs, inputs] and `bias` [outputs]. */
export const dense = defineWeight({
  schema: z.strictObject({ type: z.literal("dense") }),
  bind(_, { outputs, inputs, bias, initial = "normal" }) {
    const weight: ParameterSpec = { name: "weight", shape: [outputs, inputs], initial };
    const shift: ParameterSpec = { name: "bias", shape: [outputs], initial: "zeros" };
    return {
      parameters: bias ? [weight, shift] : [weight],
      linear: (x, parameter, { activation }) =>
        linear(x, parameter("weight"), bias ? parameter("bias") : undefined, { activation }),
      part(x, parameter, start, end) {
        const cut = (name: string) => slice(parameter(name), [{ start, end }]);
        return linear(x, cut("weight"), bias ? cut("bias") : undefined);
      },
      plan: (x, parameter, options, builder) =>
        builder.linear(x, parameter("weight"), bias ? parameter("bias") : undefined, options),
      onnx: (x, parameter, options, graph) =>
        graph.linear(x, parameter("weight"), bias ? parameter("bias") : undefined, options),
    };
  },
});
