// NumPy's file of one array: a header in Python's notation, then the numbers.
import { readFileSync } from "node:fs";
import { writeFileAtomic } from "@cloze/tensor";
import { ClozeError } from "../../errors.js";

type NpyData = Float32Array | Int8Array | Uint8Array;

const kinds = {
  "<f4": Float32Array,
  "|i1": Int8Array,
  "|u1": Uint8Array,
} as const;

const descriptionOf = (data: NpyData): string =>
  data instanceof Float32Array ? "<f4" : data instanceof Int8Array ? "|i1" : "|u1";

/**
 * Writes a matrix as version 1.0 of the format; the file appears whole or not at all.
 *
 * @param shape [rows, numbers of a row]
 * @throws FILE_WRITE, DISK_FULL
 */
export function writeNpy(path: string, data: NpyData, shape: readonly [number, number]): void {
  const header = `{'descr': '${descriptionOf(data)}', 'fortran_order': False, 'shape': (${shape.join(", ")}), }`;
  // Magic, version and length take 10 bytes; the numbers begin at a multiple of 64.
  const length = Math.ceil((10 + header.length + 1) / 64) * 64 - 10;
  const start = Buffer.alloc(10);
  start.write("\x93NUMPY\x01\x00", "latin1");
  start.writeUInt16LE(length, 8);
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  writeFileAtomic(
    path,
    (function* () {
      yield start;
      yield Buffer.from(`${header.padEnd(length - 1)}\n`, "latin1");
      for (let at = 0; at < bytes.length; at += 1 << 24) yield bytes.subarray(at, at + (1 << 24));
    })(),
  );
}

/**
 * Reads a matrix of float32, int8 or uint8 that NumPy or `writeNpy` wrote.
 *
 * @throws NPY_INVALID
 */
export function readNpy(path: string): { data: NpyData; shape: [number, number] } {
  const file = readFileSync(path);
  const invalid = (received: string) =>
    new ClozeError("NPY_INVALID", `${path} holds no matrix that can be read`, {
      expected: "a .npy file of float32, int8 or uint8 with two axes, row by row",
      received,
    });
  if (file.length < 12 || file.toString("latin1", 0, 6) !== "\x93NUMPY") throw invalid("another kind of file");
  const long = file[6] >= 2;
  const from = long ? 12 : 10;
  const start = from + (long ? file.readUInt32LE(8) : file.readUInt16LE(8));
  const header = file.toString("latin1", from, start);
  const kind = /'descr':\s*'([^']+)'/.exec(header)?.[1] ?? "";
  const shape = /'shape':\s*\((\d+),\s*(\d+),?\s*\)/.exec(header);
  if (!Object.hasOwn(kinds, kind) || shape === null || !header.includes("'fortran_order': False"))
    throw invalid(header);
  const [rows, width] = [Number(shape[1]), Number(shape[2])];
  const Kind = kinds[kind as keyof typeof kinds];
  const size = rows * width * Kind.BYTES_PER_ELEMENT;
  if (file.length < start + size) throw invalid(`${file.length - start} bytes of numbers instead of ${size}`);
  const bytes = file.buffer.slice(file.byteOffset + start, file.byteOffset + start + size);
  return { data: new Kind(bytes), shape: [rows, width] };
}
