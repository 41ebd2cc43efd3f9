// Hugging Face's file format for weights: reading tensor by tensor, writing whole files.
import type { DType, TypedArray } from "../dtype.js";
import { bytesPerElement, typedArray } from "../dtype.js";
import { ClozeError } from "../errors.js";
import { files, paths } from "../files.js";
import { contiguousCopy, empty, type Tensor } from "../tensor.js";
import { writeFileAtomic } from "./atomic.js";
import {
  headerLength,
  largestHeader,
  parseHeader,
  type SafetensorsHeader,
  type SafetensorsInfo,
} from "./safetensors-header.js";

export type { SafetensorsInfo } from "./safetensors-header.js";

const { closeSync, existsSync, fstatSync, openSync, readFileSync, readSync, statSync } = files;
const { basename, dirname, join } = paths;

/** An open file (or set of shards). */
export interface SafetensorsFile {
  readonly metadata: Readonly<Record<string, string>>;
  /** In the order in which the tensors lie in the file; of shards: in that of the index. */
  readonly names: readonly string[];
  has(name: string): boolean;
  /** @throws SAFETENSORS_NAME_UNKNOWN */
  info(name: string): SafetensorsInfo;
  /**
   * Reads one tensor. F32, F16, BF16 and F64 become float32; I32, I64, I16, U16, U8 and BOOL int32 (I64 must fit); I8
   * int8. `dtype: "bfloat16"` keeps a BF16 tensor as it is.
   *
   * @throws SAFETENSORS_NAME_UNKNOWN, SAFETENSORS_DTYPE, SAFETENSORS_RANGE, SAFETENSORS_TRUNCATED, SAFETENSORS_CLOSED
   */
  load(name: string, dtype?: "bfloat16"): Tensor;
  close(): void;
}

const chunkBytes = 1 << 22;
// One buffer for all reads: loading is synchronous.
let buffer: ArrayBuffer | undefined;

interface Format {
  readonly dtype: DType;
  /** Bytes of one element in the file. */
  readonly bytes: number;
  /** Converts what was read; undefined where the bytes are already right. */
  readonly convert?: (bytes: ArrayBuffer, count: number, name: string) => TypedArray;
}

let halves: Float32Array | undefined;
/** Every float16 value by its bits. */
function halfTable(): Float32Array {
  halves ??= Float32Array.from({ length: 65536 }, (_, bits) => {
    const sign = bits & 0x8000 ? -1 : 1;
    const exponent = (bits >> 10) & 31;
    const fraction = bits & 1023;
    if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
    return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  });
  return halves;
}

function narrow(bytes: ArrayBuffer, count: number, name: string): Int32Array {
  // The low word, and a high word that must be its sign.
  const words = new Int32Array(bytes, 0, 2 * count);
  const result = new Int32Array(count);
  for (let i = 0; i < count; i++) {
    const low = words[2 * i];
    if (words[2 * i + 1] !== low >> 31) {
      throw new ClozeError("SAFETENSORS_RANGE", `"${name}" holds an integer that does not fit 32 bits`, {
        received: String(new BigInt64Array(bytes, 8 * i, 1)[0]),
      });
    }
    result[i] = low;
  }
  return result;
}

const bfloat16ToFloat = (bytes: ArrayBuffer, count: number): Float32Array => {
  const from = new Uint16Array(bytes, 0, count);
  const bits = new Uint32Array(count);
  for (let i = 0; i < count; i++) bits[i] = from[i] << 16;
  return new Float32Array(bits.buffer);
};
const halfToFloat = (bytes: ArrayBuffer, count: number): Float32Array => {
  const table = halfTable();
  return Float32Array.from(new Uint16Array(bytes, 0, count), (bits) => table[bits]);
};

const formats: Readonly<Record<string, Format>> = {
  F32: { dtype: "float32", bytes: 4 },
  F16: { dtype: "float32", bytes: 2, convert: halfToFloat },
  BF16: { dtype: "float32", bytes: 2, convert: bfloat16ToFloat },
  F64: { dtype: "float32", bytes: 8, convert: (bytes, count) => new Float32Array(new Float64Array(bytes, 0, count)) },
  I64: { dtype: "int32", bytes: 8, convert: narrow },
  I32: { dtype: "int32", bytes: 4 },
  I16: { dtype: "int32", bytes: 2, convert: (bytes, count) => new Int32Array(new Int16Array(bytes, 0, count)) },
  U16: { dtype: "int32", bytes: 2, convert: (bytes, count) => new Int32Array(new Uint16Array(bytes, 0, count)) },
  I8: { dtype: "int8", bytes: 1 },
  U8: { dtype: "int32", bytes: 1, convert: (bytes, count) => new Int32Array(new Uint8Array(bytes, 0, count)) },
  BOOL: {
    dtype: "int32",
    bytes: 1,
    convert: (bytes, count) => Int32Array.from(new Uint8Array(bytes, 0, count), (x) => Number(x !== 0)),
  },
};
const rawBfloat16: Format = { dtype: "bfloat16", bytes: 2 };

const truncated = (path: string): ClozeError =>
  new ClozeError("SAFETENSORS_TRUNCATED", `${path} became shorter while it was read`, {
    remedy: "Read it again when nothing writes to it.",
  });

function unreadable(path: string, cause: unknown): ClozeError {
  const missing = (cause as NodeJS.ErrnoException).code === "ENOENT";
  return new ClozeError(
    missing ? "FILE_NOT_FOUND" : "FILE_READ",
    `${path} ${missing ? "does not exist" : "cannot be read"}`,
    {
      received: cause instanceof Error ? cause.message : String(cause),
      remedy: missing ? "Check the path, or download the file." : "Check that it may be read.",
      cause,
    },
  );
}

function readFully(handle: number, into: Uint8Array, position: number, path: string): void {
  for (let done = 0; done < into.length; ) {
    let count: number;
    try {
      count = readSync(handle, into, done, into.length - done, position + done);
    } catch (cause) {
      throw unreadable(path, cause);
    }
    if (count === 0) throw truncated(path);
    done += count;
  }
}

function openFile(path: string): number {
  try {
    return openSync(path, "r");
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

/** Puts the file's name in front of what a parser found. */
function inFile<T>(path: string, body: () => T): T {
  try {
    return body();
  } catch (error) {
    if (!(error instanceof ClozeError)) {
      throw new ClozeError("FILE_READ", `${path} cannot be read`, { received: String(error), cause: error });
    }
    const { code, expected, received, remedy } = error;
    const message = error.message.split("; expected")[0].split("; received")[0].split(". The file is")[0];
    throw new ClozeError(code, `${path}: ${message}`, { expected, received, remedy, cause: error });
  }
}

function readOne(path: string): SafetensorsFile {
  let handle: number | undefined = openFile(path);
  let header: SafetensorsHeader;
  try {
    const opened = handle;
    header = inFile(path, () => {
      const stats = fstatSync(opened);
      if (!stats.isFile()) throw new ClozeError("FILE_READ", "This is no file");
      const prefix = new Uint8Array(Math.min(8, stats.size));
      readFully(opened, prefix, 0, path);
      const bytes = new Uint8Array(headerLength(prefix, stats.size));
      readFully(opened, bytes, 8, path);
      return parseHeader(bytes, stats.size);
    });
  } catch (error) {
    closeSync(handle);
    throw error;
  }
  const info = (name: string): SafetensorsInfo => {
    const found = header.tensors.get(name);
    if (found !== undefined) return found;
    throw new ClozeError("SAFETENSORS_NAME_UNKNOWN", `${path} holds no tensor "${name}"`, {
      received: `${header.tensors.size} others, first ${[...header.tensors.keys()].slice(0, 3).join(", ") || "none"}`,
    });
  };
  return {
    metadata: header.metadata,
    names: [...header.tensors.keys()],
    has: (name) => header.tensors.has(name),
    info,
    load(name, dtype) {
      const { dtype: stored, shape, offset, bytes } = info(name);
      const format = dtype === "bfloat16" && stored === "BF16" ? rawBfloat16 : formats[stored];
      if (format === undefined || (dtype !== undefined && dtype !== format.dtype)) {
        throw new ClozeError("SAFETENSORS_DTYPE", `"${name}" cannot be read as ${dtype ?? "a tensor"}`, {
          expected: dtype === undefined ? Object.keys(formats).join(", ") : "BF16",
          received: stored,
        });
      }
      if (handle === undefined)
        throw new ClozeError("SAFETENSORS_CLOSED", `${path} was closed`, { remedy: "Load before close()." });
      const y = empty(shape, format.dtype);
      try {
        buffer ??= new ArrayBuffer(chunkBytes);
        const perChunk = chunkBytes / format.bytes;
        const width = bytesPerElement[format.dtype];
        for (let done = 0; done < y.size; done += perChunk) {
          const count = Math.min(perChunk, y.size - done);
          readFully(handle, new Uint8Array(buffer, 0, count * format.bytes), offset + done * format.bytes, path);
          const values = format.convert?.(buffer, count, name) ?? viewAs(format.dtype, buffer, count);
          y.storage.backend.write(values, y.pointer + done * width);
        }
      } catch (error) {
        y.dispose();
        throw error;
      }
      if (bytes !== y.size * format.bytes) throw truncated(path);
      return y;
    },
    close() {
      if (handle !== undefined) closeSync(handle);
      handle = undefined;
    },
  };
}

function viewAs(dtype: DType, bytes: ArrayBuffer, count: number): TypedArray {
  const kind = typedArray(dtype, 0).constructor as new (
    buffer: ArrayBuffer,
    offset: number,
    length: number,
  ) => TypedArray;
  return new kind(bytes, 0, count);
}

function readShards(path: string): SafetensorsFile {
  const invalid = (message: string, received?: string): ClozeError =>
    new ClozeError("SAFETENSORS_INDEX_INVALID", `${path}: ${message}`, {
      received,
      remedy: "Download or write the index again, together with its shards.",
    });
  let text: string;
  try {
    if (statSync(path).size > largestHeader) throw invalid("the index is too large");
    text = readFileSync(path, "utf8");
  } catch (cause) {
    throw cause instanceof ClozeError ? cause : unreadable(path, cause);
  }
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    throw invalid("no readable JSON", cause instanceof Error ? cause.message : String(cause));
  }
  const map = (parsed as { weight_map?: unknown } | null)?.weight_map;
  if (typeof map !== "object" || map === null || Array.isArray(map)) throw invalid("no weight_map");
  const places = new Map<string, string>();
  for (const [name, file] of Object.entries(map)) {
    if (
      typeof file !== "string" ||
      file !== basename(file) ||
      file.includes("\\") ||
      file === "" ||
      file.startsWith(".")
    ) {
      throw invalid(`"${name}" lies in no file of the same folder`, JSON.stringify(file));
    }
    places.set(name, file);
  }
  const shards = new Map<string, SafetensorsFile>();
  let closed = false;
  const shardOf = (name: string): SafetensorsFile => {
    const file = places.get(name);
    if (file === undefined) {
      throw new ClozeError("SAFETENSORS_NAME_UNKNOWN", `${path} names no tensor "${name}"`, {
        received: `${places.size} others`,
      });
    }
    let shard = shards.get(file);
    if (shard === undefined) {
      if (closed) throw new ClozeError("SAFETENSORS_CLOSED", `${path} was closed`, { remedy: "Load before close()." });
      shard = readOne(join(dirname(path), file));
      shards.set(file, shard);
    }
    return shard;
  };
  const metadata: Record<string, string> = {};
  const given = (parsed as { metadata?: unknown }).metadata;
  if (typeof given === "object" && given !== null)
    for (const [key, value] of Object.entries(given)) metadata[key] = String(value);
  return {
    metadata,
    names: [...places.keys()],
    has: (name) => places.has(name),
    info: (name) => shardOf(name).info(name),
    load: (name, dtype) => shardOf(name).load(name, dtype),
    close() {
      closed = true;
      for (const shard of shards.values()) shard.close();
    },
  };
}

/**
 * Opens a safetensors file, a `*.index.json` of shards, or a folder with `model.safetensors` or its index. Everything that
 * the header claims is checked here; tensors are read by `load`, in pieces, straight into the engine's memory.
 *
 * @throws FILE_NOT_FOUND, FILE_READ, SAFETENSORS_* (see `parseHeader`), SAFETENSORS_INDEX_INVALID
 * @example
 * const file = readSafetensors("bert-base-uncased/model.safetensors");
 * const table = file.load("bert.embeddings.word_embeddings.weight");
 * file.close();
 */
export function readSafetensors(path: string): SafetensorsFile {
  if (path.endsWith(".json")) return readShards(path);
  if (existsSync(path) && statSync(path).isDirectory()) {
    const whole = join(path, "model.safetensors");
    const index = join(path, "model.safetensors.index.json");
    return !existsSync(whole) && existsSync(index) ? readShards(index) : readOne(whole);
  }
  return readOne(path);
}

/** Type names of the format, and their rank in the order of tensors: wider types first, as Hugging Face's writer does. */
const written: Readonly<Record<DType, { name: string; order: number }>> = {
  float64: { name: "F64", order: 0 },
  float32: { name: "F32", order: 1 },
  int32: { name: "I32", order: 2 },
  bfloat16: { name: "BF16", order: 3 },
  int8: { name: "I8", order: 4 },
};

function* contents(header: Uint8Array, tensors: readonly (readonly [string, Tensor])[]): Generator<Uint8Array> {
  yield header;
  for (const [, tensor] of tensors) {
    const source = tensor.contiguous ? tensor : contiguousCopy(tensor);
    try {
      const width = bytesPerElement[source.dtype];
      const perChunk = chunkBytes / width;
      for (let done = 0; done < source.size; done += perChunk) {
        const chunk = typedArray(source.dtype, Math.min(perChunk, source.size - done));
        source.storage.backend.read(source.pointer + done * width, chunk);
        yield new Uint8Array(chunk.buffer, 0, chunk.byteLength);
      }
    } finally {
      if (source !== tensor) source.dispose();
    }
  }
}

/**
 * Writes tensors as one safetensors file, whole or not at all (see `writeFileAtomic`). Wider types first, then by name; the
 * data begins at a multiple of eight bytes.
 *
 * @throws SAFETENSORS_DUPLICATE_NAME, SAFETENSORS_HEADER_TOO_LARGE, FILE_WRITE, DISK_FULL, TENSOR_DISPOSED
 */
export function writeSafetensors(
  path: string,
  tensors: Iterable<readonly [string, Tensor]>,
  metadata: Readonly<Record<string, string>> = {},
): void {
  const list = [...tensors].sort(
    ([nameA, a], [nameB, b]) =>
      written[a.dtype].order - written[b.dtype].order || Buffer.compare(Buffer.from(nameA), Buffer.from(nameB)),
  );
  // Pairs written out by hand: an object would reorder names that look like numbers.
  const fields: string[] = [];
  if (Object.keys(metadata).length > 0) fields.push(`"__metadata__":${JSON.stringify(metadata)}`);
  const names = new Set<string>(["__metadata__"]);
  let offset = 0;
  for (const [name, tensor] of list) {
    tensor.assertLive();
    if (names.has(name) || !name.isWellFormed()) {
      throw new ClozeError(
        "SAFETENSORS_DUPLICATE_NAME",
        "Names of tensors are distinct, well-formed text and not __metadata__",
        {
          received: JSON.stringify(name),
        },
      );
    }
    names.add(name);
    const end = offset + tensor.size * bytesPerElement[tensor.dtype];
    const entry = { dtype: written[tensor.dtype].name, shape: tensor.shape, data_offsets: [offset, end] };
    fields.push(`${JSON.stringify(name)}:${JSON.stringify(entry)}`);
    offset = end;
  }
  const text = Buffer.from(`{${fields.join(",")}}`, "utf8");
  const length = Math.ceil(text.length / 8) * 8;
  if (length > largestHeader)
    throw new ClozeError("SAFETENSORS_HEADER_TOO_LARGE", `The header of ${path} would be too large`, {
      received: `${length} bytes`,
    });
  const header = Buffer.alloc(8 + length, " ");
  header.writeBigUInt64LE(BigInt(length), 0);
  text.copy(header, 8);
  writeFileAtomic(path, contents(header, list));
}
