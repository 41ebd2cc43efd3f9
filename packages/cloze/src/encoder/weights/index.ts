// How a weight matrix is stored and multiplied: one line for each part.

import type { z } from "zod";
import type { BoundWeight, MatrixSpec, WeightPart } from "../part.js";
import { type ConfigInputOf, type ConfigOf, registrySchema } from "../registry.js";
import { dense } from "./dense.js";
import { grouped } from "./grouped.js";
import { loraOver } from "./lora.js";
import { lowRank } from "./low-rank.js";
import { quantized } from "./quantized.js";

/** Those that hold a matrix of their own. */
const stored = {
  dense,
  grouped,
  "low-rank": lowRank,
  quantized,
};

/** All, with those that stand on another one. */
const parts = {
  ...stored,
  lora: loraOver(registrySchema("weight", stored), bindStored),
};

function bindStored(config: ConfigOf<typeof stored>, matrix: MatrixSpec): BoundWeight {
  const part: WeightPart<z.ZodType<ConfigOf<typeof stored>>> = stored[config.type];
  return part.bind(config, matrix);
}

export type WeightConfig = ConfigOf<typeof parts>;
export type WeightConfigInput = ConfigInputOf<typeof parts>;
export const weightSchema = registrySchema("weight", parts);

/** The weight part that a configuration names, for one matrix. */
export function bindWeight(config: WeightConfig, matrix: MatrixSpec): BoundWeight {
  const part: WeightPart<z.ZodType<WeightConfig>> = parts[config.type];
  return part.bind(config, matrix);
}
