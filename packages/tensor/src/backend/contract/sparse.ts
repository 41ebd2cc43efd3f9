import type { Pointer } from "../contract.js";

/** Products with sparse weights (native/kernels/sparse-gemm.h). */
export interface SparseKernels {
  /**
   * y = activation(x w^T + bias) + residual; a block is `height` (16, 4 or 1) consecutive outputs at one input. Group g of
   * outputs has the blocks starts[g] to starts[g + 1].
   */
  linearSparseF32(
    x: Pointer,
    starts: Pointer,
    inputs: Pointer,
    values: Pointer,
    bias: Pointer,
    y: Pointer,
    m: number,
    n: number,
    k: number,
    height: number,
    activation: number,
    residual: Pointer,
  ): void;
}
