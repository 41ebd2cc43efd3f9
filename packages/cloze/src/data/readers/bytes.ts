// The bytes of a file as they come, unpacked: gzip and Zstandard are told by their first bytes, not by the name.
import { createReadStream, statSync } from "node:fs";
import { pipeline, Readable } from "node:stream";
import type { TextDecoder } from "node:util";
import { createGunzip } from "node:zlib";
import { Decompress } from "fzstd";
import { ClozeError } from "../../errors.js";
import { isUtf16, textDecoderOf } from "../../text/text-decoder.js";

/** How a file is packed. */
export type Compression = "none" | "gzip" | "zstd";

const magics: readonly [Compression, readonly number[]][] = [
  ["gzip", [0x1f, 0x8b]],
  ["zstd", [0x28, 0xb5, 0x2f, 0xfd]],
];

/** How a file is packed, by its first bytes. */
export const compressionOf = (start: Uint8Array): Compression =>
  magics.find(([, magic]) => magic.every((byte, i) => start[i] === byte))?.[0] ?? "none";

/**
 * Checks that a path is a file that holds something.
 *
 * @throws DATA_FILE_MISSING, DATA_FILE_READ for a folder, DATA_EMPTY for 0 bytes
 */
export function checkFile(path: string): void {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) {
    throw new ClozeError("DATA_FILE_MISSING", `There is no file ${path}`, {
      expected: "a file of rows",
      received: "no such file",
      remedy: "Check the path.",
    });
  }
  if (stats.isDirectory()) {
    throw new ClozeError("DATA_FILE_READ", `${path} is a folder`, {
      expected: "a file of rows",
      received: "a folder",
      remedy: "Name a file in it.",
    });
  }
  if (stats.isFile() && stats.size === 0) throw emptyFile(path, "a file of 0 bytes");
}

/** The error for a file without rows. */
export const emptyFile = (path: string, received: string): ClozeError =>
  new ClozeError("DATA_EMPTY", `There are no rows in ${path}`, {
    expected: "at least one row",
    received,
    remedy: "Leave the file out, or check what was to write it.",
  });

/** The error for a file that could not be read, or not be unpacked. */
export function readFailure(path: string, compression: Compression, cause: unknown): ClozeError {
  if (cause instanceof ClozeError) return cause;
  const received = cause instanceof Error ? cause.message : String(cause);
  if (compression === "none") {
    return new ClozeError("DATA_FILE_READ", `${path} could not be read`, {
      received,
      remedy: "Check the file and its permissions.",
      cause,
    });
  }
  return new ClozeError("DATA_COMPRESSION", `${path} could not be unpacked`, {
    expected: `a whole ${compression} file`,
    received,
    remedy: "It is cut or damaged: copy it again.",
    cause,
  });
}

/** Largest window that is unpacked, in bytes: what the `zstd` program takes unless told otherwise. */
const largestWindow = 1 << 27;

/** Refuses a frame that asks for a very large window: it was packed with --long, or its header is damaged. */
function checkWindow(frame: Uint8Array, path: string): void {
  // RFC 8878, 3.1.1.1: descriptor, window (unless in a single segment), dictionary id, content size.
  const [descriptor, second] = [frame[4], frame[5]];
  const single = (descriptor & 0x20) !== 0;
  const sizeBytes = descriptor >> 6 === 0 ? Number(single) : 1 << (descriptor >> 6);
  const at = 5 + Number(!single) + [0, 1, 2, 4][descriptor & 3];
  let size = sizeBytes === 2 ? 256 : 0;
  for (let i = 0; i < sizeBytes; i++) size += (frame[at + i] ?? 0) * 2 ** (8 * i);
  const base = 2 ** (10 + (second >> 3));
  const window = single ? size : base + (base / 8) * (second & 7);
  if (window <= largestWindow) return;
  throw new ClozeError("DATA_COMPRESSION", `${path} could not be unpacked`, {
    expected: "a Zstandard window of at most 128 MiB",
    received: `${window} bytes`,
    remedy: "Pack it without --long; if it was not packed with it, it is damaged.",
  });
}

async function* unzstd(chunks: AsyncIterable<Uint8Array>, path: string): AsyncGenerator<Uint8Array> {
  let first = true;
  const unpacked: Uint8Array[] = [];
  const decoder = new Decompress((chunk) => unpacked.push(chunk));
  for await (const chunk of chunks) {
    if (first) checkWindow(chunk, path);
    first = false;
    // fzstd keeps what it is given; the stream's buffer is used again.
    decoder.push(chunk.slice());
    yield* unpacked.splice(0);
  }
  decoder.push(new Uint8Array(0), true);
  yield* unpacked;
}

/** UTF-16 with a byte-order mark as UTF-8, and UTF-8 without its mark. */
async function* toUtf8(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let start: Uint8Array | undefined = new Uint8Array(0);
  let decoder: TextDecoder | undefined;
  for await (const next of chunks) {
    let chunk = next;
    if (start !== undefined) {
      chunk = start.length === 0 ? next : Buffer.concat([start, next]);
      start = chunk.length < 3 ? chunk : undefined;
      if (start !== undefined) continue;
      if (isUtf16(chunk)) decoder = textDecoderOf(chunk);
      else if (chunk[0] === 0xef && chunk[1] === 0xbb && chunk[2] === 0xbf) chunk = chunk.subarray(3);
    }
    yield decoder === undefined ? chunk : Buffer.from(decoder.decode(chunk, { stream: true }));
  }
  if (start !== undefined && start.length > 0) yield start;
  if (decoder !== undefined) yield Buffer.from(decoder.decode());
}

/**
 * The unpacked bytes of a file, piece by piece.
 *
 * @throws DATA_FILE_MISSING, DATA_FILE_READ, DATA_EMPTY, DATA_COMPRESSION when a packed file is cut or damaged
 */
export async function* readBytes(path: string): AsyncGenerator<Uint8Array> {
  checkFile(path);
  let compression: Compression = "none";
  const file = createReadStream(path, { highWaterMark: 1 << 18 });
  try {
    const chunks = file[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
    const first = await chunks.next();
    if (first.done === true) return;
    compression = compressionOf(first.value);
    const whole = (async function* () {
      yield first.value;
      for (let next = await chunks.next(); next.done !== true; next = await chunks.next()) yield next.value;
    })();
    if (compression === "gzip")
      yield* pipeline(Readable.from(whole), createGunzip(), () => {}) as AsyncIterable<Buffer>;
    else yield* compression === "zstd" ? unzstd(whole, path) : whole;
  } catch (cause) {
    throw readFailure(path, compression, cause);
  } finally {
    file.destroy();
  }
}

/** The text of a file as UTF-8 bytes: {@link readBytes}, then without a byte-order mark, and UTF-16 translated. */
export const readUtf8 = (path: string): AsyncGenerator<Uint8Array> => toUtf8(readBytes(path));
