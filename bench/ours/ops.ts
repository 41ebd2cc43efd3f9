// Our side of the suite `ops`.
import {
  attention,
  contiguous,
  gelu,
  grad,
  layerNorm,
  noGrad,
  permute,
  reshape,
  scope,
  softmax,
  type Tensor,
  tensor,
} from "@cloze/tensor";
import type { Job } from "../harness.js";

export type OpName = "layer-norm" | "gelu" | "softmax" | "attention";

/** [batch, heads, length, size] to [tokens, heads, size], and back. */
const toPacked = (x: Tensor) => {
  const [batch, heads, length, size] = x.shape;
  return reshape(contiguous(permute(x, [0, 2, 1, 3])), [batch * length, heads, size]);
};
const fromPacked = (x: Tensor, [batch, heads, length, size]: number[]) =>
  contiguous(permute(reshape(x, [batch, length, heads, size]), [0, 2, 1, 3]));

/**
 * One operation on the given inputs (row-major):
 *   layer-norm: x [1024,768], weight [768], bias [768], epsilon 1e-12     gelu: x [1024,3072] (exact, erf)
 *   softmax: x [12288,128] over the last axis                            attention: q, k, v [8,12,128,64], scale 1/8
 * With `backward`, the last input is the gradient of the output; `run` does forward and backward, and `outputs()` gives
 * [y, gradient of each input], else [y]. The layout [8,12,128,64] is batch, heads, length, head size: it is brought into the
 * packed layout while preparing, and back in `outputs()`, so that neither is timed.
 */
export async function prepareOp(
  op: OpName,
  backward: boolean,
  inputs: Float32Array[],
  shapes: number[][],
): Promise<Job> {
  const packed = op === "attention";
  const given = inputs.map((values, i) => {
    const x = tensor(values, shapes[i]);
    return (packed ? toPacked(x) : x).detach().keep();
  });
  const gradient = backward ? given.pop() : undefined;
  if (backward) for (const x of given) x.requireGrad();
  const [batch, , length] = shapes[0];
  const offsets = tensor(Int32Array.from({ length: batch + 1 }, (_, i) => i * (length ?? 0))).keep();
  const forward = {
    "layer-norm": () => layerNorm(given[0], given[1], given[2], { epsilon: 1e-12 }),
    gelu: () => gelu(given[0]),
    softmax: () => softmax(given[0]),
    attention: () => attention(given[0], given[1], given[2], offsets),
  }[op];
  const compute = (): Tensor[] => {
    if (gradient === undefined) return [noGrad(forward)];
    const y = forward();
    return [y, ...grad([y], given, { gradients: [gradient] })];
  };
  return {
    run: () => scope(() => void compute()),
    outputs: () =>
      scope(() =>
        compute().map((x) => (packed ? fromPacked(x.detach(), shapes[0]) : x).toTypedArray() as Float32Array),
      ),
    close() {
      for (const x of [...given, offsets]) x.dispose();
      gradient?.dispose();
    },
  };
}
