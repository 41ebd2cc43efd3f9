import { activationCode } from "../../backend/contract/network.js";
import { disposeBlocks, fastestBlocks, storeBlocks } from "../sparse-weight.js";
import type { Product } from "./product.js";

/** Pruned weights as the blocks that they have left, where that is faster than all of them. */
export const sparse: Product = ({ x, weight, bias, activation, residual }, tools) => {
  const blocks = fastestBlocks(weight);
  if (blocks === undefined) return undefined;
  const [n, k] = weight.shape;
  const stored = storeBlocks(blocks);
  tools.own(() => disposeBlocks(stored));
  const y = tools.value(n, x.per);
  tools.call(
    "linearSparseF32",
    [
      x,
      stored.starts,
      stored.inputs,
      stored.values,
      tools.copied(bias),
      y,
      tools.countOf(x),
      n,
      k,
      stored.height,
      activationCode[activation],
      residual ?? null,
    ],
    { reads: [x, residual], writes: [y] },
  );
  return y;
};
