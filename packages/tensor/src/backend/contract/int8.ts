import type { Pointer } from "../contract.js";

/** Products of 8-bit codes with exact sums (native/kernels/int8-gemm.h); the form of codes belongs to the backend. */
export interface Int8Kernels {
  /** Bytes of a row of k codes, a multiple of 4. */
  int8RowBytes(k: number): number;
  /** x is about (code - zero) scale; `parameters` [rows, 2] receives scale and zero. */
  quantizeRowsF32(x: Pointer, codes: Pointer, parameters: Pointer, rows: number, k: number): void;
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
}
