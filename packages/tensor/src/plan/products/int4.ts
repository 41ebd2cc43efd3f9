import { empty, tensor } from "../../tensor.js";
import type { PlanValue } from "../contract.js";
import { codedProduct } from "./coded-product.js";
import type { ProductRequest, ProductTools } from "./product.js";

/** A weight [outputs, inputs] of codes of at most 4 bits: code steps[output] + least[output]. */
export interface Int4Weight {
  /** [outputs x inputs], 0 to 15 */
  readonly codes: Int8Array;
  /** [outputs] */
  readonly steps: Float32Array;
  readonly least: Float32Array;
}

/** A product with a weight of 4-bit codes. */
export function int4(weight: Int4Weight, request: Omit<ProductRequest, "weight">, tools: ProductTools): PlanValue {
  const { kernels } = tools;
  const [n, k] = [weight.steps.length, request.x.width];
  const packed = empty([Math.max(1, Math.ceil(kernels.packedInt4Bytes(n, k) / 4))]).keep("weights");
  const columns = empty([3, n]).keep("weights");
  const source = tensor(weight.codes, [n, k], "int8");
  const { backend } = columns.storage;
  const at = columns.pointer as number;
  backend.write(weight.steps, at);
  backend.write(weight.least, at + 4 * n);
  kernels.packInt4(source.pointer, packed.pointer, at + 8 * n, n, k);
  source.dispose();
  return codedProduct({ kernel: "linearInt4F32", outputs: n, packed, columns }, request, tools);
}
