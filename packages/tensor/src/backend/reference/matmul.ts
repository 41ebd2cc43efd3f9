import type { MatmulKernels } from "../contract/matmul.js";
import type { ReferenceMemory } from "./memory.js";
import { networkKernels } from "./network.js";

export function matmulKernels(memory: ReferenceMemory): MatmulKernels {
  const { real } = memory;
  return {
    // The reference needs no order of its own.
    packedWeightBytes: (n, k) => 4 * n * k,
    packWeightF32: (w, packed, n, k) => void real(packed).set(real(w).subarray(0, n * k)),
    linearPackedF32: networkKernels(memory).linearF32,
    matmulF32(a, b, c, batch, m, n, k, strideA, strideB, strideC, rowA, colA, rowB, colB, ldc, alpha, beta) {
      const left = real(a);
      const right = real(b);
      const to = real(c);
      for (let item = 0; item < batch; item++) {
        for (let i = 0; i < m; i++) {
          for (let j = 0; j < n; j++) {
            let total = 0;
            for (let l = 0; l < k; l++) {
              total += left[item * strideA + i * rowA + l * colA] * right[item * strideB + l * rowB + j * colB];
            }
            const at = item * strideC + i * ldc + j;
            to[at] = alpha * total + (beta === 0 ? 0 : beta * to[at]);
          }
        }
      }
    },
  };
}
