import type { Pointer } from "../contract.js";

export interface MatmulKernels {
  /** C = alpha A B + beta C for `batch` items; every stride in elements. */
  matmulF32(
    a: Pointer,
    b: Pointer,
    c: Pointer,
    batch: number,
    m: number,
    n: number,
    k: number,
    strideA: number,
    strideB: number,
    strideC: number,
    rowA: number,
    colA: number,
    rowB: number,
    colB: number,
    ldc: number,
    alpha: number,
    beta: number,
  ): void;
}
