// The norm that an encoder has everywhere: its parameters and its forward pass.
import { add, layerNorm, type PlanBuilder, type PlanValue, rmsNorm, type Tensor } from "@cloze/tensor";
import { ClozeError } from "../errors.js";
import { lookUp } from "./parameters.js";
import type { ParameterSpec } from "./part.js";

/** The fields of an encoder's configuration that say what its norms are. */
export interface NormConfig {
  /** "layer": arXiv 1607.06450; "rms": arXiv 1910.07467, without mean and bias. */
  readonly norm: "layer" | "rms";
  readonly normBias: boolean;
  readonly normEpsilon: number;
}

/** The vectors of a norm. */
export const normSpecs = (name: string, width: number, { norm, normBias }: NormConfig): ParameterSpec[] => [
  { name: `${name}.weight`, shape: [width], initial: "ones" },
  ...(norm === "layer" && normBias ? [{ name: `${name}.bias`, shape: [width], initial: "zeros" as const }] : []),
];

/** norm(x + residual) with given vectors. x: [tokens, width] */
export function applyNorm(
  x: Tensor,
  vector: (name: "weight" | "bias") => Tensor,
  { norm, normBias, normEpsilon: epsilon }: NormConfig,
  residual?: Tensor,
): Tensor {
  if (norm === "rms") return rmsNorm(residual === undefined ? x : add(x, residual), vector("weight"), { epsilon });
  return layerNorm(x, vector("weight"), normBias ? vector("bias") : undefined, { epsilon, residual });
}

/** norm(x + residual) with the parameters of that name. x: [tokens, width] */
export const normalize = (
  x: Tensor,
  parameters: ReadonlyMap<string, Tensor>,
  name: string,
  config: NormConfig,
  residual?: Tensor,
): Tensor => applyNorm(x, (part) => lookUp(parameters, `${name}.${part}`), config, residual);

/** The same in a plan. @throws PLAN_UNSUPPORTED */
export function planNorm(
  x: PlanValue,
  vector: (name: "weight" | "bias") => Tensor,
  { norm, normBias, normEpsilon: epsilon }: NormConfig,
  builder: PlanBuilder,
): PlanValue {
  if (norm !== "layer") throw unplanned(`norms of the kind "${norm}"`);
  return builder.layerNorm(x, vector("weight"), normBias ? vector("bias") : undefined, { epsilon });
}

/** The error for what plans do not know; whoever compiles a model runs it without a plan then. */
export const unplanned = (what: string): ClozeError =>
  new ClozeError("PLAN_UNSUPPORTED", `Plans do not know ${what}`, {
    remedy: "The model runs through the engine instead, with the same results.",
  });
