import { activationCode } from "../../backend/contract/network.js";
import { contiguous } from "../../ops/movement.js";
import { empty, type Tensor } from "../../tensor.js";
import type { Product, ProductTools } from "./product.js";

/** The weight in the order in which the kernel reads it. */
function packed(weight: Tensor, { kernels, own }: ProductTools): Tensor {
  const [n, k] = weight.shape;
  const tensor = empty([Math.max(1, Math.ceil(kernels.packedWeightBytes(n, k) / 4))]).keep("weights");
  if (weight.size > 0) kernels.packWeightF32(contiguous(weight).pointer, tensor.pointer, n, k);
  own(() => tensor.dispose());
  return tensor;
}

/** All weights, in float32. */
export const float32: Product = ({ x, weight, bias, activation, residual }, tools) => {
  const [n, k] = weight.shape;
  const y = tools.value(n, x.per);
  tools.call(
    "linearPackedF32",
    [
      x,
      packed(weight, tools),
      tools.copied(bias),
      y,
      tools.countOf(x),
      n,
      k,
      k,
      n,
      activationCode[activation],
      null,
      residual ?? null,
    ],
    { reads: [x, residual], writes: [y] },
  );
  return y;
};
