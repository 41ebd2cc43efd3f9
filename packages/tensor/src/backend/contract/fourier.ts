import type { Pointer } from "../contract.js";

/** Tables for one length; see native/kernels/fourier.h. Backends may do without them. */
export interface FourierPlan {
  readonly factors: Int32Array;
  readonly roots: Float32Array;
  readonly size: number;
  readonly chirp: Float32Array | null;
}

/** All return 0, or 1 where scratch memory ran out. */
export interface FourierKernels {
  /** Complex transforms of rows of n; `inverse`: 1 for the way back, divided by n. */
  fftF32(
    re: Pointer,
    im: Pointer,
    yRe: Pointer,
    yIm: Pointer,
    rows: number,
    n: number,
    inverse: number,
    factors: Int32Array,
    factorCount: number,
    roots: Float32Array,
    size: number,
    chirp: Float32Array | null,
  ): number;
  /** Real rows of n to the first floor(n / 2) + 1 numbers of their spectra. */
  rfftF32(
    x: Pointer,
    yRe: Pointer,
    yIm: Pointer,
    rows: number,
    n: number,
    factors: Int32Array,
    factorCount: number,
    roots: Float32Array,
    size: number,
    chirp: Float32Array | null,
  ): number;
  /** The way back, divided by n. */
  irfftF32(
    re: Pointer,
    im: Pointer,
    y: Pointer,
    rows: number,
    n: number,
    factors: Int32Array,
    factorCount: number,
    roots: Float32Array,
    size: number,
    chirp: Float32Array | null,
  ): number;
  /**
   * The real part of the transform over the rows and the columns of each sequence. x, y: [tokens, width]; re, im
   * [tokens, width / 2 + 1] are room; lengths and tables as in native/kernels/fourier.h.
   */
  fourierMixF32(
    x: Pointer,
    re: Pointer,
    im: Pointer,
    y: Pointer,
    offsets: Pointer,
    sequences: number,
    tokens: number,
    width: number,
    lengths: Pointer,
    tables: Pointer,
  ): number;
}
