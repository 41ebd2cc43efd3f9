import { add, contiguous, linear, noGrad, sub, type Tensor, tensor } from "@cloze/tensor";
import { z } from "zod";
import { defineWeight, type ParameterSpec } from "../part.js";
import { type CodeForm, decodeGroups, encodeGroups, int4Weight } from "./group-codes.js";

const schema = z.strictObject({
  type: z.literal("quantized"),
  /** Of a weight. 8: symmetric, a range for each output. */
  bits: z.union([z.literal(2), z.literal(3), z.literal(4), z.literal(8)]),
  /** Groups of consecutive outputs that share a range, below 8 bits. */
  groups: z.int().min(1).default(128),
  /** What the 8-bit codes of activations cover in plans. Default: the range of each token, found at each run. */
  input: z
    .strictObject({ low: z.number().max(0), high: z.number().min(0) })
    .refine(({ low, high }) => high > low, "the range is empty")
    .optional(),
});

/** Weights whose numbers are those of codes, by the version of their memory: nothing is rounded twice. */
const rounded = new WeakMap<Tensor["storage"], { version: number; values: Float32Array | undefined }>();

/** The numbers that the codes of a weight stand for, or undefined where it holds these already. */
function roundedValues(weight: Tensor, form: CodeForm): Float32Array | undefined {
  const { storage, shape } = weight;
  const known = rounded.get(storage);
  if (known?.version === storage.version) return known.values;
  const values = contiguous(weight).toTypedArray() as Float32Array;
  const close = decodeGroups(encodeGroups(values, shape[0], shape[1], form), shape[0], shape[1]);
  const same = close.every((value, i) => value === values[i]);
  const made = { version: storage.version, values: same ? undefined : close };
  rounded.set(storage, made);
  return made.values;
}

/**
 * A matrix as codes of 2, 3, 4 or 8 bits, with one range for each group of outputs (Q-BERT, arXiv 1909.05840). `weight`
 * [outputs, inputs] and `bias` [outputs] are float32 in memory and are trained as if nothing were rounded (the gradient goes
 * straight through); files hold codes. Plans multiply codes, of 4 bits at most or of 8, with 8-bit codes of activations.
 */
export const quantized = defineWeight({
  schema,
  bind({ bits, groups, input: inputRange }, { outputs, inputs, bias, initial = "normal" }) {
    const form: CodeForm = { bits, groups };
    const weight: ParameterSpec = { name: "weight", shape: [outputs, inputs], initial, codes: form };
    const biasOf = (parameter: (name: string) => Tensor) => (bias ? parameter("bias") : undefined);
    /** What the codes stand for; gradients reach the weight itself. */
    const close = (full: Tensor): Tensor => {
      const values = noGrad(() => roundedValues(full, form));
      if (values === undefined) return full;
      const target = tensor(values, full.shape);
      return full.requiresGrad
        ? add(
            full,
            noGrad(() => sub(target, full)),
          )
        : target;
    };
    return {
      parameters: bias ? [weight, { name: "bias", shape: [outputs], initial: "zeros" }] : [weight],
      linear: (x, parameter, { activation }) =>
        linear(x, close(parameter("weight")), biasOf(parameter), { activation }),
      plan(x, parameter, options, builder) {
        const full = parameter("weight");
        if (bits === 8) {
          const kind = builder.weights === "sparse-int8" ? "sparse-int8" : "int8";
          return builder.linear(x, close(full), biasOf(parameter), { ...options, inputRange, weights: kind });
        }
        const values = contiguous(full).toTypedArray() as Float32Array;
        const codes = int4Weight(encodeGroups(values, outputs, inputs, form), outputs);
        return builder.linearInt4(x, codes, biasOf(parameter), { ...options, inputRange });
      },
      onnx: (x, parameter, options, graph) => graph.linear(x, close(parameter("weight")), biasOf(parameter), options),
    };
  },
});
