// Fewer bits per number: bfloat16 and affine int8 codes. For storage and integer arithmetic; nothing here is recorded.
import { backend } from "../backend/index.js";
import { isReal } from "../dtype.js";
import { ClozeError } from "../errors.js";
import { noGrad } from "../graph.js";
import { scope } from "../memory.js";
import { checkShape, elementCount, formatShape, sameShape } from "../shape.js";
import { contiguousCopy, empty, type Tensor, tensor } from "../tensor.js";
import { max, min } from "./reduce.js";

function checkType(operation: string, x: Tensor, right: boolean, expected: string): void {
  x.assertLive();
  if (right) return;
  throw new ClozeError("DTYPE_NOT_SUPPORTED", `${operation} takes ${expected}`, {
    expected,
    received: x.dtype,
    remedy: "Check which way the conversion goes.",
  });
}

/** A contiguous tensor outside the graph; a new handle, to be disposed. */
const plain = (x: Tensor): Tensor => (x.contiguous ? x.detach() : contiguousCopy(x));

/**
 * float32 as bfloat16: rounded to nearest, ties to even; 8 bits of fraction, the range of float32. Not differentiable.
 *
 * @throws DTYPE_NOT_SUPPORTED
 * @example
 * const half = toBfloat16(weights); // half the bytes
 */
export function toBfloat16(x: Tensor): Tensor {
  checkType("toBfloat16", x, isReal(x.dtype), "float32");
  const source = plain(x);
  const y = empty(x.shape, "bfloat16");
  if (y.size > 0) backend().kernels.floatToBfloat16(source.pointer, y.pointer, y.size);
  source.dispose();
  return y;
}

/**
 * bfloat16 as float32, exactly.
 *
 * @throws DTYPE_NOT_SUPPORTED
 */
export function fromBfloat16(x: Tensor): Tensor {
  checkType("fromBfloat16", x, x.dtype === "bfloat16", "bfloat16");
  const source = plain(x);
  const y = empty(x.shape);
  if (y.size > 0) backend().kernels.bfloat16ToFloat(source.pointer, y.pointer, y.size);
  source.dispose();
  return y;
}

/** Codes and what they stand for: (values - zeroPoint) x scale. */
export interface Int8Codes {
  /** int8, of the shape of the numbers. */
  values: Tensor;
  /** float32: [] for one scale, or one per row, the shape without its last axis. */
  scale: Tensor;
  /** int32, like `scale`: the code of 0. */
  zeroPoint: Tensor;
}

export interface Int8Options {
  /** One scale for all, or one for each row along the last axis (for a weight [out, in]: each output). Default "tensor". */
  per?: "tensor" | "row";
  /** The zero point is 0, and codes are -127 to 127. Default false: the range is used as it is, codes are -128 to 127. */
  symmetric?: boolean;
}

/** The least scale: the smallest number that float32 holds in full precision. */
const leastScale = 2 ** -126;

/**
 * Numbers as int8 codes, the nearest ones (ties to even) of a range that covers them and 0; 0 has an exact code.
 * x: float32 [..., width]. No number is off by more than half a scale. Not differentiable.
 *
 * @throws DTYPE_NOT_SUPPORTED, SHAPE_MISMATCH for rows of a scalar, NOT_FINITE
 * @example
 * const codes = quantizeInt8(weight, { per: "row", symmetric: true });
 * const close = dequantizeInt8(codes);
 */
export function quantizeInt8(x: Tensor, options: Int8Options = {}): Int8Codes {
  return scope(() => encode(x, options));
}

function encode(x: Tensor, { per = "tensor", symmetric = false }: Int8Options): Int8Codes {
  checkType("quantizeInt8", x, isReal(x.dtype), "float32");
  checkShape(per === "tensor" || x.rank >= 1, "quantizeInt8", "rows", formatShape(x.shape));
  const { kernels } = backend();
  const source = plain(x);
  if (source.size > 0 && !Number.isFinite(kernels.sumSquaresF32(source.pointer, source.size))) {
    throw new ClozeError("NOT_FINITE", "quantizeInt8: a number is NaN or infinite", {
      remedy: "Look for the layer where training diverged.",
    });
  }
  const shape = per === "row" ? x.shape.slice(0, -1) : [];
  const rows = elementCount(shape);
  const width = per === "row" ? x.shape[x.rank - 1] : x.size;
  const extremes = (reduce: typeof max): ArrayLike<number> => {
    if (width === 0) return new Float32Array(rows);
    return noGrad(() => reduce(source, per === "row" ? [-1] : undefined)).toTypedArray();
  };
  const [lowest, highest] = [extremes(min), extremes(max)];
  const scales = new Float32Array(rows);
  const zeros = new Int32Array(rows);
  for (let row = 0; row < rows; row++) {
    const low = Math.min(0, lowest[row]);
    const high = Math.max(0, highest[row]);
    const span = symmetric ? Math.max(-low, high) / 127 : (high - low) / 255;
    scales[row] = span === 0 ? 1 : Math.max(span, leastScale);
    if (!symmetric && span > 0) zeros[row] = Math.max(-128, Math.min(127, Math.round(-128 - low / scales[row])));
  }
  const values = empty(x.shape, "int8");
  const [scale, zeroPoint] = [tensor(scales, shape), tensor(zeros, shape)];
  if (values.size > 0) {
    const least = symmetric ? -127 : -128;
    kernels.quantizeInt8F32(source.pointer, values.pointer, scale.pointer, zeroPoint.pointer, rows, width, least);
  }
  return { values, scale, zeroPoint };
}

/**
 * What int8 codes stand for, as float32: (values - zeroPoint) x scale.
 *
 * @throws DTYPE_NOT_SUPPORTED, SHAPE_MISMATCH
 */
export function dequantizeInt8({ values, scale, zeroPoint }: Int8Codes): Tensor {
  checkType("dequantizeInt8", values, values.dtype === "int8", "int8 values");
  checkType("dequantizeInt8", scale, scale.dtype === "float32", "a float32 scale");
  checkType("dequantizeInt8", zeroPoint, zeroPoint.dtype === "int32", "an int32 zero point");
  const fits = scale.rank === 0 || sameShape(scale.shape, values.shape.slice(0, -1));
  checkShape(
    fits && sameShape(scale.shape, zeroPoint.shape),
    "dequantizeInt8",
    `a scale and a zero point [], or ${formatShape(values.shape.slice(0, -1))} each`,
    `${formatShape(scale.shape)} and ${formatShape(zeroPoint.shape)}`,
  );
  const parts = [values, scale, zeroPoint].map(plain);
  const y = empty(values.shape);
  if (y.size > 0) {
    const [v, s, z] = parts.map((part) => part.pointer);
    backend().kernels.dequantizeInt8F32(v, y.pointer, s, z, scale.size, y.size / scale.size);
  }
  for (const part of parts) part.dispose();
  return y;
}
