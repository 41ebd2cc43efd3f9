import type { Pointer } from "../contract.js";

/** Activations that the linear kernels apply in their epilogue, by number. */
export const activationCode = { none: 0, gelu: 1, geluTanh: 2, relu: 3, silu: 4, tanh: 5 } as const;
export type ActivationName = keyof typeof activationCode;

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
