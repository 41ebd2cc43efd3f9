// The norms of networks and decoders, by the names that their vectors have in files.
import { layerNorm, type Tensor } from "@cloze/tensor";
import { batchNorm } from "../batch-norm.js";
import type { FeatureMap } from "../feature-map.js";
import type { ConvnetAccess } from "./part.js";

type NormAccess = Pick<ConvnetAccess, "parameter" | "statistic" | "training">;

/** Batch normalisation over the active places. */
export function batchNormOf(x: FeatureMap, name: string, { parameter, statistic, training }: NormAccess): FeatureMap {
  const rows = batchNorm(x.rows, {
    weight: parameter(`${name}.weight`),
    bias: parameter(`${name}.bias`),
    running: { mean: statistic(`${name}.running_mean`), variance: statistic(`${name}.running_var`) },
    training,
  });
  return { rows, layout: x.layout };
}

/** Layer normalisation over the channels of each active place. x: [rows, channels] */
export const layerNormOf = (x: Tensor, name: string, { parameter }: NormAccess, epsilon = 1e-6): Tensor =>
  layerNorm(x, parameter(`${name}.weight`), parameter(`${name}.bias`), { epsilon });
