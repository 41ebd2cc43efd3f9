import type { Pointer } from "../contract.js";

/** Rotary positions and gated activations (native/kernels/rotary.h). */
export interface RotaryKernels {
  /** Turns pairs of the first `heads` groups of `size` columns; `places` may be null (row by row), y may be x. */
  rotaryF32(
    x: Pointer,
    cosines: Pointer,
    sines: Pointer,
    places: Pointer,
    y: Pointer,
    rows: number,
    columns: number,
    heads: number,
    size: number,
    interleaved: number,
    direction: number,
  ): void;
  /** y [rows, width] = activation(x[:, :width]) x[:, width:] */
  gateF32(code: number, x: Pointer, y: Pointer, rows: number, width: number): void;
  gateBackwardF32(code: number, x: Pointer, gy: Pointer, gx: Pointer, rows: number, width: number): void;
}
