import type { Pointer } from "../contract.js";

/** Products of 8-bit codes with exact sums (native/kernels/int8-gemm.h); the form of codes belongs to the backend. */
export interface Int8Kernels {
  /** Bytes of a row of k codes, a multiple of 4. */
  int8RowBytes(k: number): number;
  /** x is about (code - zero) scale; `parameters` [rows, 2] receives scale and zero. */
  quantizeRowsF32(x: Pointer, codes: Pointer, parameters: Pointer, rows: number, k: number): void;
  /** The same with one scale and one zero (a whole number from 0 to 255) for all rows. */
  quantizeRowsWithinF32(
    x: Pointer,
    codes: Pointer,
    parameters: Pointer,
    rows: number,
    k: number,
    scale: number,
    zero: number,
  ): void;
  /** Codes that are multiplied at a time: the inputs of a step of `linearSparseInt8F32`. */
  int8StepCodes(): number;
  packedInt8Bytes(n: number, k: number): number;
  /** `columns` [2, n] receives the scale of each output and the sum of its codes. */
  packInt8F32(w: Pointer, packed: Pointer, columns: Pointer, n: number, k: number): void;
  /** y = activation(x w^T + bias) + residual; `bias` and `residual` may be null. */
  linearInt8F32(
    codes: Pointer,
    parameters: Pointer,
    packed: Pointer,
    columns: Pointer,
    bias: Pointer,
    y: Pointer,
    m: number,
    n: number,
    k: number,
    activation: number,
    residual: Pointer,
  ): void;
  packedInt4Bytes(n: number, k: number): number;
  /** codes: int8 [n, k] from 0 to 15; `sums` [n] receives their sums. */
  packInt4(codes: Pointer, packed: Pointer, sums: Pointer, n: number, k: number): void;
  /** As `linearInt8F32`, where a weight of output j is code columns[j] + columns[n + j], and columns[2 n + j] the sum of its codes. */
  linearInt4F32: Int8Kernels["linearInt8F32"];
}
