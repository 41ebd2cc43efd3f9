// A dense layer between the encoder and what predicts: BERT's pooler, RoBERTa's classifier, ModernBERT's head.
import { activation, dropout, linear, type PlanBuilder, type PlanValue, type Tensor, tensor } from "@cloze/tensor";
import { z } from "zod";
import { activationSchema } from "../encoder/activation.js";
import { applyNorm, type NormConfig, normSpecs, planNorm } from "../encoder/norm.js";
import type { ParameterSpec } from "../encoder/part.js";
import type { HeadContext } from "./head.js";

/** null: there is none. */
export const transformSchema = z
  .strictObject({
    activation: activationSchema.default("tanh"),
    /** False: there is no matrix, only what stands around it. */
    dense: z.boolean().default(true),
    bias: z.boolean().default(true),
    /** A norm after the activation. */
    norm: z.boolean().default(false),
    /** Before the dense layer. */
    dropout: z.number().min(0).lt(1).default(0),
    /** Width of what a pooler gives. Default: the hidden size. */
    size: z.int().min(1).optional(),
  })
  .nullable();

export type TransformConfig = z.output<typeof transformSchema>;
/** The same before defaults. */
export type TransformInput = z.input<typeof transformSchema>;

/** The parameters of a transform: `<name>.…` and `<name>Norm.…`. */
export function transformSpecs(
  name: string,
  config: TransformConfig,
  encoder: NormConfig,
  inputs: number,
  outputs = inputs,
): ParameterSpec[] {
  if (config === null) return [];
  if (!config.dense) return config.norm ? normSpecs(`${name}Norm`, outputs, encoder) : [];
  return [
    { name: `${name}.weight`, shape: [outputs, inputs], initial: "normal" },
    ...(config.bias ? [{ name: `${name}.bias`, shape: [outputs], initial: "zeros" as const }] : []),
    ...(config.norm ? normSpecs(`${name}Norm`, outputs, encoder) : []),
  ];
}

/** norm(activation(dropout(x) W^T + b)). x: [rows, inputs] -> [rows, outputs] */
export function applyTransform(
  name: string,
  x: Tensor,
  config: TransformConfig,
  encoder: NormConfig,
  { parameter, training, seed }: HeadContext,
): Tensor {
  if (config === null) return x;
  // Another seed than the dropout before the classifier, which acts on a tensor of the same shape.
  const input = training ? dropout(x, config.dropout, seed ^ 0x5bd1e995) : x;
  const y = config.dense
    ? linear(input, parameter(`${name}.weight`), config.bias ? parameter(`${name}.bias`) : undefined, {
        activation: config.activation,
      })
    : activation(input, config.activation);
  return config.norm ? applyNorm(y, (part) => parameter(`${name}Norm.${part}`), encoder) : y;
}

const identity = (width: number): Tensor =>
  tensor(
    Float32Array.from({ length: width * width }, (_, i) => Number(i % (width + 1) === 0)),
    [width, width],
  );

/** The same in a plan. */
export function planTransform(
  name: string,
  x: PlanValue,
  config: TransformConfig,
  encoder: NormConfig,
  parameter: (name: string) => Tensor,
  builder: PlanBuilder,
): PlanValue {
  if (config === null) return x;
  const bias = config.dense && config.bias ? parameter(`${name}.bias`) : undefined;
  // Heads are small: they stay in float32 whatever the encoder is made of, and an activation alone is a product with 1.
  const weight = config.dense ? parameter(`${name}.weight`) : identity(x.width);
  const y = builder.linear(x, weight, bias, { activation: config.activation, weights: "float32" });
  if (!config.dense) weight.dispose();
  return config.norm ? planNorm(y, (part) => parameter(`${name}Norm.${part}`), encoder, builder) : y;
}
