// A file of text as people have it.
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { compressionOf, readFailure } from "../data/readers/bytes.js";
import { textDecoderOf } from "../text/text-decoder.js";

/**
 * The text of a file, or of standard input (`-`): UTF-8, or UTF-16 with a byte-order mark, plain or packed by gzip.
 *
 * @throws DATA_COMPRESSION when a packed file is cut or damaged, and what reading a file throws
 */
export function readTextFile(path: string): string {
  let bytes: Uint8Array = readFileSync(path === "-" ? 0 : path);
  if (compressionOf(bytes) === "gzip") {
    try {
      bytes = gunzipSync(bytes);
    } catch (cause) {
      throw readFailure(path, "gzip", cause);
    }
  }
  return textDecoderOf(bytes).decode(bytes);
}
