import type { Pointer } from "../contract.js";

/** Recurrences over packed sequences; the layouts are described in native/kernels/recurrent.h. */
export interface RecurrentKernels {
  lstmF32(
    projected: Pointer,
    weight: Pointer,
    bias: Pointer,
    y: Pointer,
    cells: Pointer,
    states: Pointer,
    rows: Int32Array,
    stepStarts: Int32Array,
    steps: number,
    tokens: number,
    units: number,
    directions: number,
  ): void;
  lstmBackwardF32(
    weightTransposed: Pointer,
    y: Pointer,
    cells: Pointer,
    states: Pointer,
    gy: Pointer,
    gprojected: Pointer,
    previous: Pointer,
    rows: Int32Array,
    stepStarts: Int32Array,
    steps: number,
    tokens: number,
    units: number,
    directions: number,
  ): void;
  gruF32(
    projected: Pointer,
    weight: Pointer,
    bias: Pointer,
    y: Pointer,
    states: Pointer,
    rows: Int32Array,
    stepStarts: Int32Array,
    steps: number,
    tokens: number,
    units: number,
    directions: number,
  ): void;
  gruBackwardF32(
    weightTransposed: Pointer,
    y: Pointer,
    states: Pointer,
    gy: Pointer,
    gprojected: Pointer,
    grecurrent: Pointer,
    previous: Pointer,
    rows: Int32Array,
    stepStarts: Int32Array,
    steps: number,
    tokens: number,
    units: number,
    directions: number,
  ): void;
}
