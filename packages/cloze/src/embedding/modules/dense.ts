// A linear layer with an activation behind the pooling.
import { activation, add, linear, randomUniform, relu, sigmoid, type Tensor, tanh, tensor } from "@cloze/tensor";
import { z } from "zod";
import { deriveSeed } from "../../encoder/seeds.js";
import { ClozeError } from "../../errors.js";
import type { EmbedderModule, EmbedderModuleKind } from "./module.js";

/** What a dense module may end with, by the class that torch has for it. */
const activations = {
  Identity: { path: "torch.nn.modules.linear.Identity", apply: (x: Tensor) => x },
  Tanh: { path: "torch.nn.modules.activation.Tanh", apply: tanh },
  ReLU: { path: "torch.nn.modules.activation.ReLU", apply: relu },
  GELU: { path: "torch.nn.modules.activation.GELU", apply: (x: Tensor) => activation(x, "gelu") },
  SiLU: { path: "torch.nn.modules.activation.SiLU", apply: (x: Tensor) => activation(x, "silu") },
  Sigmoid: { path: "torch.nn.modules.activation.Sigmoid", apply: sigmoid },
} as const;

export type DenseActivation = keyof typeof activations;

export interface DenseOptions {
  /** Length of what it takes and gives. */
  inputSize: number;
  outputSize: number;
  /** Default "Tanh", as sentence-transformers has it. */
  activation?: DenseActivation;
  /** Default true. */
  bias?: boolean;
  /** Add the input (through a matrix of its own where the sizes differ). Default false. */
  residual?: boolean;
}

/** Parameters, by name: `linear.weight` [output, input], `linear.bias` [output], `residual.weight` [output, input]. */
export type DenseWeights = (name: string, shape: readonly number[]) => Tensor;

/** A dense module with weights from `weights`, which hands them over. */
export function denseFrom(options: DenseOptions, weights: DenseWeights): EmbedderModule {
  const { inputSize, outputSize, activation: name = "Tanh", bias = true, residual = false } = options;
  const { path, apply } = activations[name];
  const parameters = new Map<string, Tensor>();
  const make = (key: string, shape: readonly number[]) =>
    parameters.set(key, weights(key, shape).keep("weights").requireGrad());
  make("linear.weight", [outputSize, inputSize]);
  if (bias) make("linear.bias", [outputSize]);
  if (residual && inputSize !== outputSize) make("residual.weight", [outputSize, inputSize]);
  const parameter = (key: string) => parameters.get(key) as Tensor;
  return {
    type: "Dense",
    width: outputSize,
    parameters,
    forward(x) {
      const y = apply(linear(x, parameter("linear.weight"), parameters.get("linear.bias"))); // [texts, output]
      if (!residual) return y;
      return add(y, inputSize === outputSize ? x : linear(x, parameter("residual.weight")));
    },
    config: () => ({
      in_features: inputSize,
      out_features: outputSize,
      bias,
      activation_function: path,
      module_input_name: "sentence_embedding",
      module_output_name: "sentence_embedding",
      ...(residual ? { use_residual: true } : {}),
    }),
  };
}

/**
 * A dense module with new weights, as torch's linear layers begin: uniform within ±1/√input.
 *
 * @example
 * const embedder = createEmbedder(model, tokenizer, { modules: [createDense({ inputSize: 384, outputSize: 128 })] });
 */
export function createDense(options: DenseOptions, seed = 1): EmbedderModule {
  const bound = 1 / Math.sqrt(options.inputSize);
  return denseFrom(options, (name, shape) =>
    randomUniform(shape, { low: -bound, high: bound, seed: deriveSeed(seed, name) }),
  );
}

/** A dense module that passes the first `outputSize` numbers on: Matryoshka truncation that any reader understands. */
export const createSlice = (inputSize: number, outputSize: number): EmbedderModule =>
  denseFrom({ inputSize, outputSize, activation: "Identity", bias: false }, (_, shape) => {
    const values = new Float32Array(outputSize * inputSize);
    for (let i = 0; i < outputSize; i++) values[i * inputSize + i] = 1;
    return tensor(values, shape);
  });

const configSchema = z.looseObject({
  in_features: z.int().positive(),
  out_features: z.int().positive(),
  bias: z.boolean().default(true),
  activation_function: z.string().default("Tanh"),
  use_residual: z.boolean().default(false),
  module_input_name: z.literal("sentence_embedding").default("sentence_embedding"),
});

export const dense: EmbedderModuleKind = {
  type: "Dense",
  path: "models.Dense",
  load(config, width, weight) {
    const result = configSchema.safeParse(config);
    if (!result.success) {
      throw new ClozeError("EMBEDDER_FILE", "A Dense module's config.json is not what sentence-transformers writes", {
        received: z.prettifyError(result.error),
      });
    }
    const { in_features, out_features, bias, activation_function, use_residual } = result.data;
    const name = activation_function.split(".").pop() ?? "";
    if (!Object.hasOwn(activations, name)) {
      throw new ClozeError("EMBEDDER_MODULE", "A Dense module has an activation that Cloze does not know", {
        expected: Object.keys(activations).join(", "),
        received: activation_function,
      });
    }
    if (in_features !== width) {
      throw new ClozeError("EMBEDDER_FILE", "A Dense module does not fit what stands before it", {
        expected: `in_features ${width}`,
        received: String(in_features),
      });
    }
    return denseFrom(
      {
        inputSize: in_features,
        outputSize: out_features,
        bias,
        activation: name as DenseActivation,
        residual: use_residual,
      },
      weight,
    );
  },
};
