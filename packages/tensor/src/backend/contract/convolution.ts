import type { Pointer } from "../contract.js";

/** Convolutions over the tokens of packed sequences (native/kernels/convolution.h). */
export interface ConvolutionKernels {
  /**
   * y[t, c] = the sum over taps j of w(t, c, j) x[t + j - before, j tapX + c], over the taps whose token is in the sequence of t.
   * w = weights[t rowW + head headW + j tapW], where a head is width / heads columns; no weights: 1.
   */
  convolveTokensF32(
    x: Pointer,
    weights: Pointer,
    y: Pointer,
    offsets: Pointer,
    sequences: number,
    tokens: number,
    width: number,
    taps: number,
    before: number,
    rowX: number,
    tapX: number,
    rowY: number,
    heads: number,
    rowW: number,
    headW: number,
    tapW: number,
  ): void;
}
