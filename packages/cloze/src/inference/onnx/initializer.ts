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

type Numbers = Float32Array | Int8Array | Uint8Array | BigInt64Array;

/** A constant whose numbers are made piece by piece when it is written, and forgotten then. */
export function initializer(
  name: string,
  type: ElementType,
  shape: readonly number[],
  pieces: () => Iterable<Numbers>,
): Initializer {
  return {
    name,
    type,
    shape,
    data: {
      bytes: elementBytes[type] * countOf(shape),
      *read() {
        for (const { buffer, byteOffset, byteLength } of pieces()) {
          yield new Uint8Array(buffer, byteOffset, byteLength);
        }
      },
    },
  };
}

/** So many numbers are in memory at a time. */
const pieceSize = 1 << 20;

/** Numbers of a matrix, some rows (transposed: some columns, as rows) after the other. */
function* matrixPieces({ shape, strides, offset, view }: MatrixView, transposed: boolean): Generator<Float32Array> {
  const [outer, inner] = transposed ? [1, 0] : [0, 1];
  const step = Math.max(1, Math.floor(pieceSize / Math.max(1, shape[inner])));
  for (let from = 0; from < shape[outer]; from += step) {
    const rows = Math.min(step, shape[outer] - from);
    const piece = view([rows, shape[inner]], [strides[outer], strides[inner]], offset + from * strides[outer]);
    yield piece.toTypedArray() as Float32Array;
    piece.dispose();
  }
}

type MatrixView = Pick<Tensor, "shape" | "strides" | "offset"> & { view: Tensor["view"] };

/** A vector or matrix as one of rows. */
function rowsView(tensor: Tensor): MatrixView {
  const { shape, strides, offset } = tensor;
  const view: Tensor["view"] = (...as) => tensor.view(...as);
  if (tensor.rank === 2) return { shape, strides, offset, view };
  return { shape: [1, tensor.size], strides: [0, strides[0] ?? 1], offset, view };
}

/** A vector or matrix as it is. */
export const plainNumbers = (tensor: Tensor): Iterable<Float32Array> => matrixPieces(rowsView(tensor), false);

/** A matrix with its dimensions changed over. */
export const transposedNumbers = (matrix: Tensor): Iterable<Float32Array> => matrixPieces(rowsView(matrix), true);

/** The scale of each row, so that its largest number becomes the largest code. */
export function rowScales(matrix: Tensor, largestCode: number): Float32Array {
  const [rows, columns] = matrix.shape;
  const scales = new Float32Array(rows);
  let row = 0;
  for (const piece of plainNumbers(matrix)) {
    for (let i = 0; i < piece.length; i += columns, row++) {
      let largest = 0;
      for (let j = i; j < i + columns; j++) largest = Math.max(largest, Math.abs(piece[j]));
      scales[row] = largest === 0 ? 1 : largest / largestCode;
    }
  }
  return scales;
}

/** Symmetric codes by these scales, x ≈ code · scale of its row; in rows, or with the dimensions changed over. */
export function* rowCodes(
  matrix: Tensor,
  largestCode: number,
  orientation: "rows" | "transposed",
): Generator<Int8Array> {
  const scales = rowScales(matrix, largestCode);
  const [rows, columns] = matrix.shape;
  let at = 0;
  for (const piece of orientation === "rows" ? plainNumbers(matrix) : transposedNumbers(matrix)) {
    const codes = new Int8Array(piece.length);
    for (let i = 0; i < codes.length; i++, at++) {
      codes[i] = Math.round(piece[i] / scales[orientation === "rows" ? Math.floor(at / columns) : at % rows]);
    }
    yield codes;
  }
}
