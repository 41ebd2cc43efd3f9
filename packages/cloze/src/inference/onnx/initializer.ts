// Constants of a graph: parameters as they are, transposed, or as 8-bit codes.
import type { Tensor } from "@cloze/tensor";
import type { LazyBytes } from "./protobuf.js";

/** Element types, by the numbers that ONNX has for them. */
export const elementTypes = { float32: 1, uint8: 2, int8: 3, int64: 7 } as const;
type ElementType = keyof typeof elementTypes;
const elementBytes: Readonly<Record<ElementType, number>> = { float32: 4, uint8: 1, int8: 1, int64: 8 };

/** A constant before it is written. */
export interface Initializer {
  readonly name: string;
  readonly type: ElementType;
  readonly shape: readonly number[];
  readonly data: LazyBytes;
}

const countOf = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1);

/** A constant whose numbers are made when it is written, and forgotten then. */
export function initializer(
  name: string,
  type: ElementType,
  shape: readonly number[],
  make: () => Float32Array | Int8Array | Uint8Array | BigInt64Array,
): Initializer {
  return {
    name,
    type,
    shape,
    data: {
      bytes: elementBytes[type] * countOf(shape),
      *read() {
        const { buffer, byteOffset, byteLength } = make();
        yield new Uint8Array(buffer, byteOffset, byteLength);
      },
    },
  };
}

const numbersOf = (tensor: Tensor): Float32Array => tensor.toTypedArray() as Float32Array;

function transposed<Numbers extends Float32Array | Int8Array>(from: Numbers, to: Numbers, rows: number): Numbers {
  const columns = from.length / rows;
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) to[j * rows + i] = from[i * columns + j];
  return to;
}

/** A matrix with its dimensions changed over. */
export const transposedNumbers = (matrix: Tensor): Float32Array =>
  transposed(numbersOf(matrix), new Float32Array(matrix.size), matrix.shape[0]);

/** The scale of each row, so that its largest number becomes the largest code. */
export function rowScales(matrix: Tensor, largestCode: number): Float32Array {
  const numbers = numbersOf(matrix);
  const [rows, columns] = matrix.shape;
  return Float32Array.from({ length: rows }, (_, row) => {
    let largest = 0;
    for (let i = row * columns; i < (row + 1) * columns; i++) largest = Math.max(largest, Math.abs(numbers[i]));
    return largest === 0 ? 1 : largest / largestCode;
  });
}

/** Symmetric codes by these scales: x ≈ code · scale of its row. */
export function rowCodes(matrix: Tensor, largestCode: number, orientation: "rows" | "transposed"): Int8Array {
  const numbers = numbersOf(matrix);
  const scales = rowScales(matrix, largestCode);
  const columns = matrix.shape[1];
  const codes = Int8Array.from(numbers, (x, i) => Math.round(x / scales[Math.floor(i / columns)]));
  return orientation === "rows" ? codes : transposed(codes, new Int8Array(codes.length), matrix.shape[0]);
}
