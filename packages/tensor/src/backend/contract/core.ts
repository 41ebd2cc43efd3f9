import type { Pointer } from "../contract.js";

export interface CoreKernels {
  fillF32(y: Pointer, value: number, count: number): void;
  fillI32(y: Pointer, value: number, count: number): void;
  /** Copies a strided view to contiguous memory; `size` is bytes per element, strides are in elements. */
  copyStrided(x: Pointer, y: Pointer, shape: Int32Array, strides: Int32Array, rank: number, size: number): void;
}
