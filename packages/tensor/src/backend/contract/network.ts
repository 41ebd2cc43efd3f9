import type { Pointer } from "../contract.js";

/** Activations by number, as the linear kernels' epilogue and `activationF32` know them. */
export const activationCode = { none: 0, gelu: 1, geluTanh: 2, relu: 3, silu: 4, tanh: 5, quickGelu: 6 } as const;
export type ActivationName = keyof typeof activationCode;

/** y = activation(x w^T + bias) + residual; `bias`, `preactivation` (written) and `residual` may be null. */
export type LinearKernel = (
  x: Pointer,
  w: Pointer,
  bias: Pointer,
  y: Pointer,
  m: number,
  n: number,
  k: number,
  ldx: number,
  ldy: number,
  activation: number,
  preactivation: Pointer,
  residual: Pointer,
) => void;

/** Fused kernels of the layers of an encoder. Each has a composed definition in ops/. */
export interface NetworkKernels {
  linearF32: LinearKernel;
  /** The same with a weight that `packWeightF32` has put in order. */
  linearPackedF32: LinearKernel;
  /** Bytes of a weight [n, k] in the order in which `linearPackedF32` reads it; the order belongs to the backend. */
  packedWeightBytes(n: number, k: number): number;
  packWeightF32(w: Pointer, packed: Pointer, n: number, k: number): void;
  activationF32(code: number, x: Pointer, y: Pointer, count: number): void;
  /** gx = gy times the derivative at x; gx may be gy. */
  activationBackwardF32(code: number, x: Pointer, gy: Pointer, gx: Pointer, count: number): void;
  /** y = x / (1 - rate) where the bits of (seed, row, column) keep it, else 0. */
  dropoutF32(x: Pointer, y: Pointer, rows: number, width: number, rate: number, seed: number): void;
  /** Sum (mode 0) or mean (mode 1) over each segment of rows. */
  segmentSumF32(x: Pointer, offsets: Pointer, y: Pointer, segments: number, width: number, mode: number): void;
  segmentSumBackwardF32(
    gy: Pointer,
    offsets: Pointer,
    gx: Pointer,
    segments: number,
    width: number,
    mode: number,
  ): void;
  /** `residual`, `beta` and `total` may be null; `statistics` [rows, 2] receives mean and 1 / deviation. */
  layerNormF32(
    x: Pointer,
    residual: Pointer,
    gamma: Pointer,
    beta: Pointer,
    y: Pointer,
    total: Pointer,
    statistics: Pointer,
    rows: number,
    width: number,
    epsilon: number,
  ): void;
  layerNormBackwardF32(
    total: Pointer,
    statistics: Pointer,
    gamma: Pointer,
    gy: Pointer,
    gx: Pointer,
    dgamma: Pointer,
    dbeta: Pointer,
    rows: number,
    width: number,
    accumulateGamma: number,
    accumulateBeta: number,
  ): void;
  softmaxF32(x: Pointer, y: Pointer, rows: number, width: number, logarithm: number): void;
  softmaxBackwardF32(y: Pointer, gy: Pointer, gx: Pointer, rows: number, width: number, logarithm: number): void;
  crossEntropyF32(
    logits: Pointer,
    targets: Pointer,
    losses: Pointer,
    logSums: Pointer,
    rows: number,
    classes: number,
    ignore: number,
    smoothing: number,
  ): void;
  crossEntropyBackwardF32(
    logits: Pointer,
    targets: Pointer,
    logSums: Pointer,
    gx: Pointer,
    rows: number,
    classes: number,
    ignore: number,
    smoothing: number,
    scale: number,
  ): void;
}

/**
 * Attention inside the sequences of a packed batch. Row distances (`ld…`) in elements. `hidden` [tokens] (null: none): a token
 * that is not 0 is seen by itself alone.
 */
export interface AttentionKernels {
  attentionF32(
    q: Pointer,
    k: Pointer,
    v: Pointer,
    out: Pointer,
    logSums: Pointer,
    offsets: Pointer,
    sequences: number,
    tokens: number,
    heads: number,
    size: number,
    ldq: number,
    ldk: number,
    ldv: number,
    ldo: number,
    scale: number,
    causal: number,
    window: number,
    rate: number,
    seed: number,
    hidden: Pointer,
  ): void;
  /**
   * The same with scores by distance (key minus query), before the scale: row distance + span - 1 of each table, which may
   * be null: `bias` [2 span - 1, heads] is added, `keys` [2 span - 1, heads size] are multiplied with the query, `queries`
   * (as keys) with the key. No sequence may be longer than span.
   */
  attentionRelativeF32(
    q: Pointer,
    k: Pointer,
    v: Pointer,
    out: Pointer,
    logSums: Pointer,
    offsets: Pointer,
    sequences: number,
    tokens: number,
    heads: number,
    size: number,
    ldq: number,
    ldk: number,
    ldv: number,
    ldo: number,
    scale: number,
    bias: Pointer,
    keys: Pointer,
    queries: Pointer,
    span: number,
  ): void;
  attentionBackwardF32(
    q: Pointer,
    k: Pointer,
    v: Pointer,
    out: Pointer,
    logSums: Pointer,
    dout: Pointer,
    dq: Pointer,
    dk: Pointer,
    dv: Pointer,
    offsets: Pointer,
    sequences: number,
    tokens: number,
    heads: number,
    size: number,
    ldq: number,
    ldk: number,
    ldv: number,
    ldo: number,
    ldd: number,
    scale: number,
    causal: number,
    window: number,
    rate: number,
    seed: number,
    hidden: Pointer,
  ): void;
}
