// How a vector lies in a file: as it is, in 8 bits with a scale, or by its signs.
import { ClozeError } from "../../errors.js";

/** "float32"; "int8" (a quarter of the bytes: codes of -127 to 127 and a scale per vector); "binary" (signs, 1 / 32). */
export type VectorStorage = "float32" | "int8" | "binary";

export interface VectorCodec {
  readonly storage: VectorStorage;
  readonly width: number;
  readonly rowBytes: number;
  /** Writes a vector's row. */
  encode(vector: Float32Array, into: Uint8Array): void;
  /** Reads rows back as numbers. @returns [rows, width] */
  decode(rows: Uint8Array): Float32Array;
}

const copyOf = (rows: Uint8Array): ArrayBuffer =>
  rows.buffer.slice(rows.byteOffset, rows.byteOffset + rows.byteLength) as ArrayBuffer;

const float32 = (width: number): VectorCodec => ({
  storage: "float32",
  width,
  rowBytes: 4 * width,
  encode: (vector, into) => into.set(new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength)),
  decode: (rows) => new Float32Array(copyOf(rows)),
});

function int8(width: number): VectorCodec {
  const rowBytes = 4 + Math.ceil(width / 4) * 4;
  return {
    storage: "int8",
    width,
    rowBytes,
    encode(vector, into) {
      let largest = 0;
      for (let c = 0; c < width; c++) largest = Math.max(largest, Math.abs(vector[c]));
      const scale = Math.fround(largest / 127);
      const view = new DataView(into.buffer, into.byteOffset, rowBytes);
      view.setFloat32(0, scale, true);
      for (let c = 0; c < width; c++)
        view.setInt8(4 + c, scale === 0 ? 0 : Math.max(-127, Math.min(127, Math.round(vector[c] / scale))));
    },
    decode(rows) {
      const count = rows.length / rowBytes;
      const view = new DataView(rows.buffer, rows.byteOffset, rows.byteLength);
      const result = new Float32Array(count * width);
      for (let row = 0; row < count; row++) {
        const scale = view.getFloat32(row * rowBytes, true);
        for (let c = 0; c < width; c++) result[row * width + c] = scale * view.getInt8(row * rowBytes + 4 + c);
      }
      return result;
    },
  };
}

function binary(width: number): VectorCodec {
  const rowBytes = Math.ceil(width / 32) * 4;
  const size = Math.fround(1 / Math.sqrt(width));
  return {
    storage: "binary",
    width,
    rowBytes,
    encode(vector, into) {
      into.fill(0);
      for (let c = 0; c < width; c++) if (vector[c] >= 0) into[c >> 3] |= 1 << (c & 7);
    },
    decode(rows) {
      const count = rows.length / rowBytes;
      const result = new Float32Array(count * width);
      for (let row = 0; row < count; row++)
        for (let c = 0; c < width; c++)
          result[row * width + c] = (rows[row * rowBytes + (c >> 3)] >> (c & 7)) & 1 ? size : -size;
      return result;
    },
  };
}

const codecs: Record<VectorStorage, (width: number) => VectorCodec> = { float32, int8, binary };

/** All of {@link VectorStorage}. */
export const vectorStorages = Object.keys(codecs) as VectorStorage[];

/** The codec of a storage. @throws INDEX_STORAGE */
export function vectorCodec(storage: VectorStorage, width: number): VectorCodec {
  if (Object.hasOwn(codecs, storage)) return codecs[storage](width);
  throw new ClozeError("INDEX_STORAGE", "There is no such storage of vectors", {
    expected: vectorStorages.join(", "),
    received: String(storage),
  });
}
