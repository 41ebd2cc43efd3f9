import type { Pointer } from "../contract.js";

export interface EmbeddingKernels {
  /** y[i] = table[indices[i]] * gate[gateIndices[i]]; whole rows are dropped at `rate` by (seed, i). */
  gatedRowsF32(
    table: Pointer,
    indices: Pointer,
    gate: Pointer,
    gateIndices: Pointer,
    y: Pointer,
    count: number,
    width: number,
    rate: number,
    seed: number,
  ): void;
  /** Adds into `gtable` and `ggate`; either may be null. */
  gatedRowsBackwardF32(
    table: Pointer,
    indices: Pointer,
    gate: Pointer,
    gateIndices: Pointer,
    gy: Pointer,
    gtable: Pointer,
    ggate: Pointer,
    count: number,
    width: number,
    rate: number,
    seed: number,
  ): void;
}
