// Ways of multiplying with a weight in a plan: one line for each.
import { float32 } from "./float32.js";
import { int8 } from "./int8.js";
import type { Product } from "./product.js";
import { sparse } from "./sparse.js";
import { sparseInt8 } from "./sparse-int8.js";

/** The ways that are tried in turn, until one takes the weight. */
export const products = {
  float32: [float32],
  int8: [int8, float32],
  sparse: [sparse, float32],
  "sparse-int8": [sparseInt8, int8, float32],
} as const satisfies Record<string, readonly Product[]>;

/** How a plan multiplies. */
export type PlanWeights = keyof typeof products;
