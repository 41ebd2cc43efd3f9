// Tokenized sequences in a file, read one by one: a corpus need not fit in memory, and is tokenized once.
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { writeFileAtomic } from "@cloze/tensor";
import { ClozeError } from "../errors.js";

// Layout, little-endian: magic (8 bytes), the ids (int32 each), the ends of the sequences in tokens (float64 each), then
// the number of sequences (uint32) and of tokens (float64): counts stand at the end because they are not known before.
const magic = "CLOZETK1";
const headerBytes = 8;

/** Sequences of token ids on disk. */
export interface TokenStore {
  readonly count: number;
  /** Tokens of all sequences together. */
  readonly tokens: number;
  /** Tokens of one sequence, without reading it. */
  length(index: number): number;
  sequence(index: number): Int32Array;
  close(): void;
}

/**
 * Writes sequences as they come; the file appears whole or not at all.
 *
 * @throws TOKEN_STORE_EMPTY when there is not one sequence, FILE_WRITE, DISK_FULL
 */
export function writeTokenStore(path: string, sequences: Iterable<ArrayLike<number>>): void {
  const ends: number[] = [];
  let tokens = 0;
  function* chunks(): Iterable<Uint8Array> {
    yield Buffer.from(magic, "latin1");
    for (const sequence of sequences) {
      if (sequence.length === 0) continue;
      tokens += sequence.length;
      ends.push(tokens);
      yield new Uint8Array(Int32Array.from(sequence).buffer);
    }
    if (ends.length === 0) {
      throw new ClozeError("TOKEN_STORE_EMPTY", "The corpus has no text", {
        remedy: "Give a file with one document a line.",
      });
    }
    yield new Uint8Array(Float64Array.from(ends).buffer);
    const tail = Buffer.alloc(12);
    tail.writeUInt32LE(ends.length, 0);
    tail.writeDoubleLE(tokens, 4);
    yield tail;
  }
  writeFileAtomic(path, chunks());
}

/**
 * Opens what `writeTokenStore` wrote.
 *
 * @throws TOKEN_STORE_INVALID when the file is cut or something else
 */
export function openTokenStore(path: string): TokenStore {
  const file = openSync(path, "r");
  const fail = (received: string): never => {
    closeSync(file);
    throw new ClozeError("TOKEN_STORE_INVALID", `${path} is no token store, or is damaged`, {
      received,
      remedy: "Delete it; it is made again from the corpus.",
    });
  };
  const { size } = fstatSync(file);
  const read = (start: number, bytes: number): Buffer => {
    const buffer = Buffer.alloc(bytes);
    let done = 0;
    while (done < bytes) {
      const count = readSync(file, buffer, done, bytes - done, start + done);
      if (count === 0) fail(`an end after ${start + done} bytes`);
      done += count;
    }
    return buffer;
  };
  if (size < headerBytes + 12) fail(`${size} bytes`);
  if (read(0, 8).toString("latin1") !== magic) fail("another kind of file");
  const tail = read(size - 12, 12);
  const count = tail.readUInt32LE(0);
  const tokens = tail.readDoubleLE(4);
  if (size !== headerBytes + 4 * tokens + 8 * count + 12) fail(`${size} bytes for ${tokens} tokens`);
  const table = read(headerBytes + 4 * tokens, 8 * count);
  const ends = new Float64Array(count);
  for (let i = 0; i < count; i++) ends[i] = table.readDoubleLE(8 * i);
  return {
    count,
    tokens,
    length: (index) => ends[index] - (index === 0 ? 0 : ends[index - 1]),
    sequence(index) {
      const start = index === 0 ? 0 : ends[index - 1];
      const bytes = read(headerBytes + 4 * start, 4 * (ends[index] - start));
      return new Int32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4).slice();
    },
    close: () => closeSync(file),
  };
}
