import type { Pointer } from "../contract.js";

export interface OptimizerKernels {
  /** AdamW in one pass; `keep` = 1 - lr x decay, `stepSize` = lr / (1 - beta1^t), `inverseRoot` = 1 / sqrt(1 - beta2^t). */
  adamwF32(
    p: Pointer,
    g: Pointer,
    m: Pointer,
    v: Pointer,
    count: number,
    gradientScale: number,
    keep: number,
    oneMinusBeta1: number,
    beta2: number,
    oneMinusBeta2: number,
    stepSize: number,
    inverseRoot: number,
    epsilon: number,
  ): void;
  /** The same for the named rows (each once); zeroes their gradient. */
  adamwRowsF32(
    p: Pointer,
    g: Pointer,
    m: Pointer,
    v: Pointer,
    rows: Pointer,
    count: number,
    width: number,
    gradientScale: number,
    keep: number,
    oneMinusBeta1: number,
    beta2: number,
    oneMinusBeta2: number,
    stepSize: number,
    inverseRoot: number,
    epsilon: number,
  ): void;
  /** Adam's moments; u = corrected m / (corrected root of v + epsilon) + decay x p. */
  adamDirectionF32(
    p: Pointer,
    g: Pointer,
    m: Pointer,
    v: Pointer,
    u: Pointer,
    count: number,
    gradientScale: number,
    decay: number,
    oneMinusBeta1: number,
    beta2: number,
    oneMinusBeta2: number,
    inverseFirst: number,
    inverseRoot: number,
    epsilon: number,
  ): void;
  /** `b`: momentum buffer or null; `first`: 1 where it holds nothing yet. */
  sgdF32(
    p: Pointer,
    g: Pointer,
    b: Pointer,
    count: number,
    gradientScale: number,
    learningRate: number,
    decay: number,
    momentum: number,
    dampening: number,
    nesterov: number,
    first: number,
  ): void;
  sgdRowsF32(
    p: Pointer,
    g: Pointer,
    rows: Pointer,
    count: number,
    width: number,
    gradientScale: number,
    learningRate: number,
    decay: number,
  ): void;
  /** y = alpha x + beta y */
  addScaledF32(x: Pointer, y: Pointer, count: number, alpha: number, beta: number): void;
  scaleRowsF32(x: Pointer, rows: Pointer, count: number, width: number, factor: number): void;
  zeroRowsF32(x: Pointer, rows: Pointer, count: number, width: number): void;
  /** In double precision; the same bits for any number of threads. */
  sumSquaresF32(x: Pointer, count: number): number;
  sumSquaresRowsF32(x: Pointer, rows: Pointer, count: number, width: number): number;
  /**
   * Appends the ids not marked yet to `out`, marks them, and returns how many it holds then. `out` has room for one more
   * than all distinct ids.
   */
  uniqueIds(ids: Pointer, count: number, marks: Pointer, out: Pointer, found: number): number;
  clearMarks(ids: Pointer, count: number, marks: Pointer): void;
}
