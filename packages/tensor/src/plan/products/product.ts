// What ways of multiplying in a plan share. Each way is a file here.
import type { ActivationName } from "../../backend/contract/network.js";
import type { Kernels } from "../../backend/contract.js";
import { contiguous } from "../../ops/movement.js";
import type { Tensor } from "../../tensor.js";
import type { InputRange, PlanBuilder, PlanOperand, PlanValue } from "../contract.js";

/** A product before it is written: activation(x weight^T + bias) + residual. */
export interface ProductRequest {
  readonly x: PlanValue;
  /** [outputs, inputs] */
  readonly weight: Tensor;
  readonly bias: Tensor | undefined;
  readonly activation: ActivationName;
  readonly residual: PlanValue | undefined;
  readonly inputRange: InputRange | undefined;
}

/** What a way of multiplying can reach of the plan. */
export interface ProductTools extends Pick<PlanBuilder, "call" | "own" | "value"> {
  readonly kernels: Kernels;
  /** A copy that lives as long as the plan; null where there is none. */
  copied(tensor: Tensor | undefined): Tensor | null;
  countOf(x: PlanValue): PlanOperand;
  /** 8-bit codes of a value, and the scale and the zero of its rows; made once, for whoever multiplies them. */
  codesOf(x: PlanValue, range: InputRange | undefined): { readonly codes: PlanValue; readonly parameters: PlanValue };
}

/** Whether a weight has codes: what is NaN or infinite has none, and is multiplied as it is. */
export function hasCodes({ weight }: ProductRequest, { kernels }: ProductTools): boolean {
  return weight.size > 0 && Number.isFinite(kernels.sumSquaresF32(contiguous(weight).pointer, weight.size));
}

/** Writes a product into a plan; undefined where this way is no gain for this weight. */
export type Product = (request: ProductRequest, tools: ProductTools) => PlanValue | undefined;
