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
  /** Bytes of a weight [n, k] in the order in which `linearPackedF32` reads it; the order belongs to the backend. */
  packedWeightBytes(n: number, k: number): number;
  packWeightF32(w: Pointer, packed: Pointer, n: number, k: number): void;
  /** y = activation(x w^T + bias) + residual; see `linearF32`. */
  linearPackedF32(
    x: Pointer,
    packed: Pointer,
    bias: Pointer,
    y: Pointer,
    m: number,
    n: number,
    k: number,
    ldx: number,
    ldy: number,
    activation: number,
    preactivation: Pointer,
    residual: Pointer,
  ): void;
}
