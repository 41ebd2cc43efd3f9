import type { MatmulKernels } from "../contract/matmul.js";
import type { ReferenceMemory } from "./memory.js";

export function matmulKernels({ real }: ReferenceMemory): MatmulKernels {
  return {
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
