// The bytes of a file as they come, unpacked: gzip and Zstandard are told by their first bytes, not by the name.
import { createReadStream, statSync } from "node:fs";
import { pipeline, Readable } from "node:stream";
import type { TextDecoder } from "node:util";
import { createGunzip } from "node:zlib";
import { Decompress } from "fzstd";
import { ClozeError } from "../../errors.js";
import { type Compression, checkWindow, compressionOf, unpackFailure } from "../../text/compression.js";
import { isUtf16, textDecoderOf } from "../../text/text-decoder.js";

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
  if (compression !== "none") return unpackFailure(path, compression, cause);
  return new ClozeError("DATA_FILE_READ", `${path} could not be read`, {
    received: cause instanceof Error ? cause.message : String(cause),
    remedy: "Check the file and its permissions.",
    cause,
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
