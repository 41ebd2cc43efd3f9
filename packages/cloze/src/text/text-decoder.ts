// How the bytes of a text file are read, by the first of them.
import { TextDecoder } from "node:util";

/** Whether bytes begin with a byte-order mark of UTF-16. */
export const isUtf16 = (start: Uint8Array): boolean =>
  (start[0] === 0xff && start[1] === 0xfe) || (start[0] === 0xfe && start[1] === 0xff);

/** UTF-8, or UTF-16 with a byte-order mark; bytes that are not text become U+FFFD. */
export const textDecoderOf = (start: Uint8Array): TextDecoder =>
  new TextDecoder(!isUtf16(start) ? "utf-8" : start[0] === 0xff ? "utf-16le" : "utf-16be");
