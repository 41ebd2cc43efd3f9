// What is read of a segment only when it is asked for: vectors, and the codes of tokens.
import { closeSync, openSync } from "node:fs";
import { readAt } from "./file-io.js";
import type { VectorCodec } from "./vector-codec.js";

/** Rows of a vector file, read as far as they are there, and more when it has grown. */
export function rowReader(path: string, codec: VectorCodec | undefined, size: () => number) {
  let rows = new Uint8Array(0);
  return (): Uint8Array => {
    if (codec === undefined) return rows;
    const wanted = size() * codec.rowBytes;
    if (rows.length < wanted) {
      const larger = new Uint8Array(wanted);
      larger.set(rows);
      const file = openSync(path, "r");
      try {
        readAt(file, larger.subarray(rows.length), rows.length);
      } finally {
        closeSync(file);
      }
      rows = larger;
    }
    return rows.subarray(0, wanted);
  };
}

/** Reads the codes of tokens, which stand behind a document's JSON. */
export const tokenReader =
  (
    log: number,
    tokenBytes: number,
    placeOf: (document: number) => { count: number; bodyEnd: number },
  ): ((document: number, each: number) => Uint8Array) =>
  (document, each) => {
    const { count, bodyEnd } = placeOf(document);
    const codes = new Uint8Array(count * each);
    readAt(log, codes, bodyEnd - count * tokenBytes);
    return codes;
  };
