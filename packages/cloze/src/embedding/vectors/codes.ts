// Vectors in fewer bytes: 8-bit codes by calibrated ranges, a bit for each number, the first numbers only.
import { ClozeError } from "../../errors.js";
import { checkPart } from "../truncate.js";

/**
 * How vectors are stored. "int8" and "uint8": 256 steps between the least and the largest of each dimension; "binary" and
 * "ubinary": a bit, 1 where the number is above 0, eight to a byte from the highest (as signed and as unsigned bytes). The
 * bytes are those of sentence-transformers' quantize_embeddings.
 */
export type Precision = "float32" | "int8" | "uint8" | "binary" | "ubinary";

export const precisions: readonly Precision[] = ["float32", "int8", "uint8", "binary", "ubinary"];

/** The least and the largest number of each dimension. */
export interface VectorRanges {
  readonly least: Float32Array;
  readonly largest: Float32Array;
}

/** Codes of vectors. */
export interface VectorCodes {
  readonly precision: Precision;
  /** [rows, bytes or numbers of a row] */
  readonly data: Float32Array | Int8Array | Uint8Array;
  readonly rowLength: number;
  /** With "int8" and "uint8": what the steps lie between. */
  readonly ranges?: VectorRanges;
}

/**
 * The ranges of 8-bit codes from vectors like those that will be stored; a thousand are plenty.
 *
 * @throws VECTOR_RANGES when there are fewer than two vectors
 */
export function calibrateRanges(vectors: Float32Array, width: number): VectorRanges {
  const rows = vectors.length / width;
  if (rows < 2) {
    throw new ClozeError("VECTOR_RANGES", "8-bit codes need ranges, which one vector alone cannot tell", {
      expected: "at least two vectors, or ranges from elsewhere",
      received: String(rows),
    });
  }
  const least = vectors.slice(0, width);
  const largest = vectors.slice(0, width);
  for (let i = width; i < vectors.length; i++) {
    const c = i % width;
    if (vectors[i] < least[c]) least[c] = vectors[i];
    if (vectors[i] > largest[c]) largest[c] = vectors[i];
  }
  return { least, largest };
}

const stepsOf = ({ least, largest }: VectorRanges): Float32Array =>
  least.map((start, c) => Math.fround(Math.fround(largest[c] - start) / 255) || 1);

/** Vectors as codes. @throws VECTOR_RANGES, DIMENSION_MISMATCH */
export function encodeVectors(
  vectors: Float32Array,
  width: number,
  precision: Precision,
  given?: VectorRanges,
): VectorCodes {
  const rows = vectors.length / width;
  if (precision === "float32") return { precision, data: vectors, rowLength: width };
  if (precision === "binary" || precision === "ubinary") {
    const rowLength = Math.ceil(width / 8);
    const data = new Uint8Array(rows * rowLength);
    for (let row = 0; row < rows; row++) {
      for (let c = 0; c < width; c++) {
        if (vectors[row * width + c] > 0) data[row * rowLength + (c >> 3)] |= 128 >> (c & 7);
      }
    }
    return { precision, rowLength, data: precision === "ubinary" ? data : Int8Array.from(data, (byte) => byte - 128) };
  }
  const ranges = given ?? calibrateRanges(vectors, width);
  if (ranges.least.length !== width || ranges.largest.length !== width) {
    throw new ClozeError("DIMENSION_MISMATCH", "The ranges are for vectors of another length", {
      expected: `${width} numbers`,
      received: String(ranges.least.length),
    });
  }
  const steps = stepsOf(ranges);
  const data = Uint8Array.from(vectors, (value, i) => {
    const c = i % width;
    const code = Math.floor(Math.fround(Math.fround(value - ranges.least[c]) / steps[c]));
    return Math.max(0, Math.min(255, code));
  });
  return {
    precision,
    rowLength: width,
    ranges,
    data: precision === "uint8" ? data : Int8Array.from(data, (code) => code - 128),
  };
}

/** What codes stand for: the lower end of a step; -1 and 1 for bits. -> [rows, width] */
export function decodeVectors({ precision, data, rowLength, ranges }: VectorCodes, width: number): Float32Array {
  if (precision === "float32") return data as Float32Array;
  const rows = data.length / rowLength;
  const shift = precision === "binary" || precision === "int8" ? 128 : 0;
  if (precision === "binary" || precision === "ubinary") {
    return Float32Array.from({ length: rows * width }, (_, i) => {
      const [row, c] = [Math.floor(i / width), i % width];
      return ((data[row * rowLength + (c >> 3)] + shift) & (128 >> (c & 7))) === 0 ? -1 : 1;
    });
  }
  const { least } = ranges as VectorRanges;
  const steps = stepsOf(ranges as VectorRanges);
  return Float32Array.from(data, (code, i) => (code + shift) * steps[i % width] + least[i % width]);
}

/**
 * The first `dimensions` numbers of each vector, scaled to length 1 where `normalize` says so (inner products are no cosines
 * otherwise). Vectors of a Matryoshka model keep most of their worth.
 *
 * @throws INVALID_OPTION
 */
export function truncateVectors(
  vectors: Float32Array,
  width: number,
  dimensions: number,
  { normalize = true }: { normalize?: boolean } = {},
): Float32Array {
  checkPart("dimensions", dimensions, 1, width);
  const rows = vectors.length / width;
  const result = new Float32Array(rows * dimensions);
  for (let row = 0; row < rows; row++) {
    const part = vectors.subarray(row * width, row * width + dimensions);
    let squares = 0;
    for (const value of part) squares += value * value;
    const scale = normalize && squares > 0 ? 1 / Math.sqrt(squares) : 1;
    for (let c = 0; c < dimensions; c++) result[row * dimensions + c] = part[c] * scale;
  }
  return result;
}
