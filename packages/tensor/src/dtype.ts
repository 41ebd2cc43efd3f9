/** Element types. `float64` exists on the reference backend only, for gradient checks; `int8` and `bfloat16` are storage. */
export type DType = "float32" | "float64" | "int32" | "int8" | "bfloat16";

export type TypedArray = Float32Array | Float64Array | Int32Array | Int8Array | Uint16Array;

export const bytesPerElement: Readonly<Record<DType, number>> = {
  float32: 4,
  float64: 8,
  int32: 4,
  int8: 1,
  bfloat16: 2,
};

/** A JavaScript array that holds `length` elements of a type (bfloat16 as its raw 16 bits). */
export function typedArray(dtype: DType, length: number): TypedArray {
  switch (dtype) {
    case "float32":
      return new Float32Array(length);
    case "float64":
      return new Float64Array(length);
    case "int32":
      return new Int32Array(length);
    case "int8":
      return new Int8Array(length);
    case "bfloat16":
      return new Uint16Array(length);
  }
}

/** True for the types that gradients flow through. */
export const isReal = (dtype: DType): boolean => dtype === "float32" || dtype === "float64";
