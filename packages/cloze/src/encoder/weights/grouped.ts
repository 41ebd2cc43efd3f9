import { activation, add, concat, contiguous, matmul, permute, reshape, slice, transpose, zeros } from "@cloze/tensor";
import { z } from "zod";
import { ClozeError } from "../../errors.js";
import { defineWeight, type ParameterSpec } from "../part.js";

/**
 * Inputs and outputs in equal groups, each with a matrix of its own (a grouped convolution of one tap; ConvBERT, arXiv
 * 2008.02496). `weight` [outputs, inputs / groups]: the outputs of a group stand together; `bias` [outputs].
 */
export const grouped = defineWeight({
  schema: z.strictObject({ type: z.literal("grouped"), groups: z.int().min(1) }),
  bind({ groups }, { name, outputs, inputs, bias, initial = "normal" }) {
    if (inputs % groups !== 0 || outputs % groups !== 0) {
      throw new ClozeError("CONFIG_INVALID", `grouped: ${name} does not divide into ${groups} groups`, {
        received: `${inputs} inputs, ${outputs} outputs`,
      });
    }
    const [height, width] = [outputs / groups, inputs / groups];
    const weight: ParameterSpec = { name: "weight", shape: [outputs, width], initial };
    return {
      parameters: bias ? [weight, { name: "bias", shape: [outputs], initial: "zeros" }] : [weight],
      linear(x, parameter, { activation: act = "none" }) {
        const [tokens] = x.shape;
        const parts = permute(reshape(x, [tokens, groups, width]), [1, 0, 2]);
        const products = matmul(parts, transpose(reshape(parameter("weight"), [groups, height, width])));
        const y = reshape(contiguous(permute(products, [1, 0, 2])), [tokens, outputs]);
        return activation(bias ? add(y, parameter("bias")) : y, act);
      },
      // One matrix with zeros beside the groups: more work, and the kernels of all products.
      plan(x, parameter, options, builder) {
        const weight = parameter("weight");
        const rows = Array.from({ length: groups }, (_, group) => {
          const own = slice(weight, [{ start: group * height, end: (group + 1) * height }]);
          return concat([zeros([height, group * width]), own, zeros([height, (groups - 1 - group) * width])], 1);
        });
        return builder.linear(x, concat(rows, 0), bias ? parameter("bias") : undefined, options);
      },
    };
  },
});
