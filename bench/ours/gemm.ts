// Our side of the suite `gemm`.
import { linear, noGrad, packWeights, scope, tensor } from "@cloze/tensor";
import type { Job } from "../harness.js";

/** c [m,n] = a [m,k] · b [k,n] in float32, b packed once beforehand (a weight). `outputs()` gives [c]. */
export async function prepareGemm(m: number, n: number, k: number, a: Float32Array, b: Float32Array): Promise<Job> {
  const x = tensor(a, [m, k]).keep();
  const transposed = new Float32Array(n * k);
  for (let row = 0; row < k; row++)
    for (let column = 0; column < n; column++) transposed[column * k + row] = b[row * n + column];
  const weight = tensor(transposed, [n, k]).keep();
  const release = packWeights([weight]);
  const product = () => noGrad(() => linear(x, weight));
  return {
    run: () => scope(() => void product()),
    outputs: () => [scope(() => product().toTypedArray() as Float32Array)],
    close() {
      release();
      x.dispose();
      weight.dispose();
    },
  };
}
