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
  /**
   * The same with 8-bit codes (those of `quantizeRowsF32`, columns as `packInt8F32` gives them). Group g has the steps
   * starts[g] to starts[g + 1]; a step has `int8StepCodes()` inputs and for each of `height` outputs as many codes, in 32
   * bits. runs 1: the inputs of a step follow each other, and `inputs` holds the number of the step in the row.
   */
  linearSparseInt8F32(
    codes: Pointer,
    parameters: Pointer,
    starts: Pointer,
    inputs: Pointer,
    weights: Pointer,
    columns: Pointer,
    bias: Pointer,
    y: Pointer,
    m: number,
    n: number,
    k: number,
    height: number,
    runs: number,
    activation: number,
    residual: Pointer,
  ): void;
}
