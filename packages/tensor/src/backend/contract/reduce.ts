import type { Pointer } from "../contract.js";

export const reduceCode = { sum: 0, max: 1, min: 2 } as const;
export type ReduceName = keyof typeof reduceCode;

export interface ReduceKernels {
  /** y [outer, inner] from x [outer, length, inner]. */
  reduceF32(code: number, x: Pointer, y: Pointer, outer: number, length: number, inner: number): void;
  /** y [outer, length, inner]: sums from the start of `length` (`reverse`: from the end) to each place. */
  cumulativeSumF32(x: Pointer, y: Pointer, outer: number, length: number, inner: number, reverse: number): void;
  takeRowsF32(x: Pointer, indices: Pointer, y: Pointer, count: number, width: number): void;
  scatterAddRowsF32(x: Pointer, indices: Pointer, y: Pointer, count: number, width: number): void;
}
