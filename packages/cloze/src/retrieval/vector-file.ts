// Vectors in a file, in half the bytes: bfloat16 keeps the first 8 bits of a number's fraction, enough to rank by.
import { readSafetensors, type Tensor, tensor, writeSafetensors } from "@cloze/tensor";

/** float32 to the nearest bfloat16 bits. */
function roundToBfloat16(values: Float32Array): Uint16Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const result = new Uint16Array(values.length);
  for (let i = 0; i < bits.length; i++) result[i] = (bits[i] + 0x7fff + ((bits[i] >>> 16) & 1)) >>> 16;
  return result;
}

/** Writes named vectors [rows, width] as a safetensors file of bfloat16. */
export function saveVectors(path: string, vectors: ReadonlyMap<string, Tensor>): void {
  const halves = new Map(
    [...vectors].map(([name, values]) => {
      const data = roundToBfloat16(values.toTypedArray() as Float32Array);
      return [name, tensor(data, values.shape, "bfloat16")] as const;
    }),
  );
  writeSafetensors(path, halves);
  for (const half of halves.values()) half.dispose();
}

/** Reads what `saveVectors` wrote, as float32. */
export function loadVectors(path: string): Map<string, Tensor> {
  const file = readSafetensors(path);
  try {
    return new Map(file.names.map((name) => [name, file.load(name)]));
  } finally {
    file.close();
  }
}
