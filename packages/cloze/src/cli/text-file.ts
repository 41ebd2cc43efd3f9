// A file of text as people have it.
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { readFailure } from "../data/readers/bytes.js";

/**
 * The text of a file, or of standard input (`-`): UTF-8, or UTF-16 with a byte-order mark, plain or packed by gzip.
 *
 * @throws DATA_COMPRESSION when a packed file is cut or damaged, and what reading a file throws
 */
export function readTextFile(path: string): string {
  let bytes: Uint8Array = readFileSync(path === "-" ? 0 : path);
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) {
    try {
      bytes = gunzipSync(bytes);
    } catch (cause) {
      throw readFailure(path, "gzip", cause);
    }
  }
  const encoding =
    bytes[0] === 0xff && bytes[1] === 0xfe ? "utf-16le" : bytes[0] === 0xfe && bytes[1] === 0xff ? "utf-16be" : "utf-8";
  return new TextDecoder(encoding).decode(bytes);
}
