import { activationCode } from "../../backend/contract/network.js";
import { contiguous } from "../../ops/movement.js";
import { empty } from "../../tensor.js";
import { hasCodes, type Product } from "./product.js";

/** All weights, as 8-bit codes with a scale for each output. */
export const int8: Product = (request, tools) => {
  if (!hasCodes(request, tools)) return undefined;
  const { x, weight, bias, activation, residual, inputRange } = request;
  const { kernels } = tools;
  const [n, k] = weight.shape;
  const { codes, parameters } = tools.codesOf(x, inputRange);
  const packed = empty([Math.max(1, Math.ceil(kernels.packedInt8Bytes(n, k) / 4))]).keep("weights");
  const columns = empty([2, n]).keep("weights");
  kernels.packInt8F32(contiguous(weight).pointer, packed.pointer, columns.pointer, n, k);
  tools.own(() => {
    packed.dispose();
    columns.dispose();
  });
  const y = tools.value(n, x.per);
  tools.call(
    "linearInt8F32",
    [
      codes,
      parameters,
      packed,
      columns,
      tools.copied(bias),
      y,
      tools.countOf(x),
      n,
      k,
      activationCode[activation],
      residual ?? null,
    ],
    { reads: [codes, parameters, residual], writes: [y] },
  );
  return y;
};
