// Our side of the suite `gemm`.
import type { Job } from "../harness.js";

/** c [m,n] = a [m,k] · b [k,n] in float32, b packed once beforehand (a weight). `outputs()` gives [c]. */
export async function prepareGemm(
  _m: number,
  _n: number,
  _k: number,
  _a: Float32Array,
  _b: Float32Array,
): Promise<Job> {
  throw new Error("ours not wired: bench/ours/gemm.ts");
}
