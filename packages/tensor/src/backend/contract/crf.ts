import type { Pointer } from "../contract.js";

/** Conditional random fields over packed sequences; the layouts are described in native/kernels/crf.h. */
export interface CrfKernels {
  crfF32(
    emissions: Pointer,
    rules: Pointer,
    offsets: Pointer,
    logPartition: Pointer,
    alphas: Pointer,
    sequences: number,
    labels: number,
  ): void;
  crfBackwardF32(
    emissions: Pointer,
    rules: Pointer,
    offsets: Pointer,
    alphas: Pointer,
    gradient: Pointer,
    gemissions: Pointer,
    grules: Pointer,
    sequences: number,
    labels: number,
    group: number,
  ): void;
}
