import { layerNorm, type Tensor } from "@cloze/tensor";
import type { EmbedderModule, EmbedderModuleKind } from "./module.js";

/** Layer normalisation of the vectors (arXiv 1607.06450); epsilon 1e-5, torch's. */
export function layerNormFrom(width: number, weight: (name: string) => Tensor): EmbedderModule {
  const make = (name: string): Tensor => weight(name).keep("weights").requireGrad();
  const [scale, bias] = [make("norm.weight"), make("norm.bias")];
  return {
    type: "LayerNorm",
    width,
    parameters: new Map([
      ["norm.weight", scale],
      ["norm.bias", bias],
    ]),
    forward: (x) => layerNorm(x, scale, bias, { epsilon: 1e-5 }),
    config: () => ({ dimension: width }),
  };
}

export const layerNormModule: EmbedderModuleKind = {
  type: "LayerNorm",
  path: "models.LayerNorm",
  load: (_, width, weight) => layerNormFrom(width, weight),
};
