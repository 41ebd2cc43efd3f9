import { backend } from "../backend/index.js";
import { keeps } from "../counter-random.js";
import { ClozeError } from "../errors.js";
import { isComposing, record } from "../graph.js";
import { empty, type Tensor, tensor } from "../tensor.js";
import { mul } from "./elementwise.js";
import { contiguous } from "./movement.js";

/**
 * Sets a share of the elements to 0 and scales the others by 1 / (1 - rate). The choice is a function of (seed, row, column),
 * so the mask is computed again in the backward pass instead of being kept.
 *
 * @param x [..., width]
 * @param rate share to drop, from 0 up to (not including) 1
 * @param seed a whole number; take another one at each call
 * @throws DROPOUT_RATE
 */
export function dropout(x: Tensor, rate: number, seed: number): Tensor {
  if (!(rate >= 0 && rate < 1)) {
    throw new ClozeError("DROPOUT_RATE", "dropout: the rate lies between 0 and 1", { received: String(rate) });
  }
  if (rate === 0) return x;
  const width = x.shape[x.rank - 1] ?? 1;
  const rows = width === 0 ? 0 : x.size / width;
  if (isComposing()) {
    const scale = 1 / (1 - rate);
    const mask = Float32Array.from({ length: x.size }, (_, i) =>
      keeps(seed, Math.floor(i / width), i % width, rate) ? scale : 0,
    );
    return mul(x, tensor(mask, x.shape, x.dtype));
  }
  const run = (from: Tensor): Tensor => {
    const source = contiguous(from);
    const y = empty(source.shape, source.dtype);
    if (y.size > 0) backend().kernels.dropoutF32(source.pointer, y.pointer, rows, width, rate, seed);
    return y;
  };
  const source = contiguous(x);
  return record({
    name: "dropout",
    inputs: [source],
    outputs: [run(source)],
    differentiable: false,
    backward: ([g]) => [g && run(g)],
  })[0];
}
