// A file of text as people have it.
import { readFileSync } from "node:fs";
import { unpackBytes } from "../text/compression.js";
import { textDecoderOf } from "../text/text-decoder.js";

/**
 * The text of a file, or of standard input (`-`): UTF-8, or UTF-16 with a byte-order mark, plain or packed by gzip or Zstandard.
 *
 * @throws DATA_COMPRESSION when a packed file is cut or damaged, and what reading a file throws
 */
export function readTextFile(path: string): string {
  const bytes = unpackBytes(readFileSync(path === "-" ? 0 : path), path);
  return textDecoderOf(bytes).decode(bytes);
}
