import type { Pointer } from "../contract.js";

export interface QuantizeKernels {
  /** Rounded to nearest, ties to even; NaN stays NaN. */
  floatToBfloat16(x: Pointer, y: Pointer, count: number): void;
  bfloat16ToFloat(x: Pointer, y: Pointer, count: number): void;
  /** y = x / scale rounded (ties to even) + zero, kept within [lowest, 127]; a scale and a zero for each row. */
  quantizeInt8F32(
    x: Pointer,
    y: Pointer,
    scale: Pointer,
    zero: Pointer,
    rows: number,
    width: number,
    lowest: number,
  ): void;
  /** y = (x - zero) scale */
  dequantizeInt8F32(x: Pointer, y: Pointer, scale: Pointer, zero: Pointer, rows: number, width: number): void;
}
