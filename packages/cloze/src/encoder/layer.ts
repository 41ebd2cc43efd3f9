// One layer: a mixer and a channel, each with its norm and its residual.
import { add, dropout, layerNorm, type Tensor } from "@cloze/tensor";
import { bindChannel } from "./channels/index.js";
import type { EncoderConfig, LayerConfig } from "./config.js";
import { bindMixer } from "./mixers/index.js";
import { lookUp, prefixed } from "./parameters.js";
import type { BoundSlot, BoundWeight, ParameterSpec, SlotAccess, SlotContext, WithWeights } from "./part.js";
import { bindWeight, weightSchema } from "./weights/index.js";

type Parameters = ReadonlyMap<string, Tensor>;

/** A slot whose matrices know how they are stored. */
interface Slot {
  readonly parameters: readonly ParameterSpec[];
  forward(x: Tensor, parameters: Parameters, context: SlotContext): Tensor;
}

/** A layer before it has parameters. */
export interface Layer {
  readonly parameters: readonly ParameterSpec[];
  /** x: [tokens, hidden] -> [tokens, hidden] */
  forward(x: Tensor, parameters: Parameters, context: SlotContext): Tensor;
}

function slotOf(prefix: string, bound: BoundSlot, { weights }: WithWeights, startAtZero: boolean): Slot {
  const matrices = new Map<string, BoundWeight>();
  const specs: ParameterSpec[] = [];
  for (const matrix of bound.matrices) {
    const stored = weightSchema.parse(weights?.[matrix.name] ?? { type: "dense" });
    const weight = bindWeight(stored, matrix.residual && startAtZero ? { ...matrix, initial: "zeros" } : matrix);
    matrices.set(matrix.name, weight);
    specs.push(...prefixed(`${prefix}.${matrix.name}`, weight.parameters));
  }
  specs.push(...prefixed(prefix, bound.vectors ?? []));
  return {
    parameters: specs,
    forward(x, parameters, context) {
      const access: SlotAccess = {
        linear(name, input, options = {}) {
          const weight = matrices.get(name);
          if (weight === undefined) throw new Error(`${prefix} declares no matrix ${name}`);
          return weight.linear(input, (local) => lookUp(parameters, `${prefix}.${name}.${local}`), options);
        },
        parameter: (name) => lookUp(parameters, `${prefix}.${name}`),
      };
      return bound.forward(x, access, context);
    },
  };
}

/** The two vectors of a norm. */
export const normSpecs = (name: string, width: number): ParameterSpec[] => [
  { name: `${name}.weight`, shape: [width], initial: "ones" },
  { name: `${name}.bias`, shape: [width], initial: "zeros" },
];

/** layerNorm(x + residual) with the parameters of that name. x: [tokens, width] */
export const normalize = (
  x: Tensor,
  parameters: Parameters,
  name: string,
  epsilon: number,
  residual?: Tensor,
): Tensor =>
  layerNorm(x, lookUp(parameters, `${name}.weight`), lookUp(parameters, `${name}.bias`), { epsilon, residual });

/** Builds layer `index` of an encoder. */
export function createLayer(
  config: EncoderConfig,
  { mixer, channel, dropout: rate }: LayerConfig,
  index: number,
): Layer {
  const { hiddenSize, normEpsilon, normPosition, residualInit } = config;
  const prefix = `layers.${index}`;
  const zero = residualInit === "zero";
  const branches = [
    { name: "mixer", slot: slotOf(`${prefix}.mixer`, bindMixer(mixer, hiddenSize), mixer, zero) },
    { name: "channel", slot: slotOf(`${prefix}.channel`, bindChannel(channel, hiddenSize), channel, zero) },
  ];
  return {
    parameters: branches.flatMap(({ name, slot }) => [
      ...slot.parameters,
      ...normSpecs(`${prefix}.${name}Norm`, hiddenSize),
    ]),
    forward(x, parameters, context) {
      let state = x;
      for (const { name, slot } of branches) {
        const norm = `${prefix}.${name}Norm`;
        const before = normPosition === "pre" ? normalize(state, parameters, norm, normEpsilon) : state;
        const branch = slot.forward(before, parameters, context);
        const dropped = context.training ? dropout(branch, rate, context.seed(name)) : branch;
        state = normPosition === "pre" ? add(state, dropped) : normalize(dropped, parameters, norm, normEpsilon, state);
      }
      return state;
    },
  };
}
