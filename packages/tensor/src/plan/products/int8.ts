import { contiguous } from "../../ops/movement.js";
import { empty } from "../../tensor.js";
import { codedProduct } from "./coded-product.js";
import { hasCodes, type Product } from "./product.js";

/** All weights, as 8-bit codes with a scale for each output. */
export const int8: Product = (request, tools) => {
  if (!hasCodes(request, tools)) return undefined;
  const { weight } = request;
  const { kernels } = tools;
  const [n, k] = weight.shape;
  const packed = empty([Math.max(1, Math.ceil(kernels.packedInt8Bytes(n, k) / 4))]).keep("weights");
  const columns = empty([2, n]).keep("weights");
  kernels.packInt8F32(contiguous(weight).pointer, packed.pointer, columns.pointer, n, k);
  return codedProduct({ kernel: "linearInt8F32", outputs: n, packed, columns }, request, tools);
};
