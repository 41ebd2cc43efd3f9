// What products with a weight of codes share: the call that multiplies codes of a value with them.
import { activationCode } from "../../backend/contract/network.js";
import type { Tensor } from "../../tensor.js";
import type { PlanValue } from "../contract.js";
import type { ProductRequest, ProductTools } from "./product.js";

/** A weight as its kernel reads it. */
interface PackedCodes {
  readonly kernel: "linearInt4F32" | "linearInt8F32";
  readonly outputs: number;
  /** The codes, in the kernel's order. */
  readonly packed: Tensor;
  /** What it keeps of each output. [numbers, outputs] */
  readonly columns: Tensor;
}

/** Writes the product into the plan, which owns the weight from here on. */
export function codedProduct(
  { kernel, outputs, packed, columns }: PackedCodes,
  { x, bias, activation, residual, inputRange }: Omit<ProductRequest, "weight">,
  tools: ProductTools,
): PlanValue {
  const { codes, parameters } = tools.codesOf(x, inputRange);
  tools.own(() => {
    packed.dispose();
    columns.dispose();
  });
  const y = tools.value(outputs, x.per);
  tools.call(
    kernel,
    [
      codes,
      parameters,
      packed,
      columns,
      tools.copied(bias),
      y,
      tools.countOf(x),
      outputs,
      x.width,
      activationCode[activation],
      residual ?? null,
    ],
    { reads: [codes, parameters, residual], writes: [y] },
  );
  return y;
}
