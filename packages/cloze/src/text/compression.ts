// Files that are packed as a whole: gzip and Zstandard are told by their first bytes, not by the name.
import { gunzipSync } from "node:zlib";
import { decompress } from "fzstd";
import { ClozeError } from "../errors.js";

/** How a file is packed. */
export type Compression = "none" | "gzip" | "zstd";

const magics: readonly [Compression, readonly number[]][] = [
  ["gzip", [0x1f, 0x8b]],
  ["zstd", [0x28, 0xb5, 0x2f, 0xfd]],
];

/** How a file is packed, by its first bytes. */
export const compressionOf = (start: Uint8Array): Compression =>
  magics.find(([, magic]) => magic.every((byte, i) => start[i] === byte))?.[0] ?? "none";

/** The error for a packed file that is cut or damaged. */
export function unpackFailure(path: string, compression: Compression, cause: unknown): ClozeError {
  if (cause instanceof ClozeError) return cause;
  return new ClozeError("DATA_COMPRESSION", `${path} could not be unpacked`, {
    expected: `a whole ${compression} file`,
    received: cause instanceof Error ? cause.message : String(cause),
    remedy: "It is cut or damaged: copy it again.",
    cause,
  });
}

/** Largest window that is unpacked, in bytes: what the `zstd` program takes unless told otherwise. */
const largestWindow = 1 << 27;

/**
 * Refuses a frame that asks for a very large window: it was packed with --long, or its header is damaged.
 *
 * @throws DATA_COMPRESSION
 */
export function checkWindow(frame: Uint8Array, path: string): void {
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

/**
 * The bytes of a file as they were before it was packed, all at once; those of one that is not packed are given back.
 *
 * @param path for messages
 * @throws DATA_COMPRESSION when a packed file is cut or damaged
 */
export function unpackBytes(bytes: Uint8Array, path: string): Uint8Array {
  const compression = compressionOf(bytes);
  if (compression === "none") return bytes;
  try {
    if (compression === "gzip") return gunzipSync(bytes);
    checkWindow(bytes, path);
    return decompress(bytes);
  } catch (cause) {
    throw unpackFailure(path, compression, cause);
  }
}
