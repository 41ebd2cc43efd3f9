// Our side of the suite `ops`.
import type { Job } from "../harness.js";

export type OpName = "layer-norm" | "gelu" | "softmax" | "attention";

/**
 * One operation on the given inputs (row-major):
 *   layer-norm: x [1024,768], weight [768], bias [768], epsilon 1e-12     gelu: x [1024,3072] (exact, erf)
 *   softmax: x [12288,128] over the last axis                            attention: q, k, v [8,12,128,64], scale 1/8
 * With `backward`, the last input is the gradient of the output; `run` does forward and backward, and `outputs()` gives
 * [y, gradient of each input], else [y]. The layout [8,12,128,64] is batch, heads, length, head size: bring it into the
 * packed layout while preparing, and back in `outputs()`, so that neither is timed.
 */
export async function prepareOp(
  _op: OpName,
  _backward: boolean,
  _inputs: Float32Array[],
  _shapes: number[][],
): Promise<Job> {
  throw new Error("ours not wired: bench/ours/ops.ts");
}
