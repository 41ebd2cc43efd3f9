// A shard: the tokens of a few ten thousand documents in one file, with what is needed to read some of them.
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { writeFileAtomic } from "@cloze/tensor";
import { ClozeError } from "../../errors.js";
import { hashTokens, minHash, signatureSize } from "./token-hash.js";

// Layout, little-endian: magic (8 bytes), bytes of an id (uint32), documents (uint32), tokens (float64), whether signatures
// follow (uint32), 4 bytes of nothing; then the ids, the ends of the documents in tokens (uint32 each), their hashes (two
// uint32 each), and their signatures. Tables begin at multiples of 4.
const magic = "CLOZESH1";
const headerBytes = 32;

/** Tokens after which a shard is full; and after which a block of it is. */
export const shardTokens = 1 << 21;
export const blockTokens = 1 << 15;

const aligned = (bytes: number): number => (bytes + 3) & ~3;

/** What one must know of a shard to read from it. */
export interface ShardInfo {
  readonly name: string;
  readonly documents: number;
  readonly tokens: number;
  /** First documents of runs of about `blockTokens` tokens. */
  readonly blocks: readonly number[];
}

/** Collects documents until a shard is full. */
export interface ShardWriter {
  readonly tokens: number;
  readonly documents: number;
  add(ids: ArrayLike<number>): void;
  /** Writes the file; the writer is empty afterwards. @throws FILE_WRITE, DISK_FULL */
  write(path: string, name: string): ShardInfo;
}

/** @param wide ids of 4 bytes instead of 2 */
export function createShardWriter(wide: boolean, withSignatures: boolean): ShardWriter {
  let ids: Uint16Array | Int32Array = wide ? new Int32Array(1 << 16) : new Uint16Array(1 << 16);
  let tokens = 0;
  let ends: number[] = [];
  let blocks: number[] = [];
  let blockStart = 0;
  return {
    get tokens() {
      return tokens;
    },
    get documents() {
      return ends.length;
    },
    add(document) {
      if (tokens + document.length > ids.length) {
        const larger = new (wide ? Int32Array : Uint16Array)(Math.max(2 * ids.length, tokens + document.length));
        larger.set(ids.subarray(0, tokens));
        ids = larger;
      }
      if (ends.length === 0 || tokens - blockStart >= blockTokens) {
        blocks.push(ends.length);
        blockStart = tokens;
      }
      ids.set(document, tokens);
      tokens += document.length;
      ends.push(tokens);
    },
    write(path, name) {
      const info: ShardInfo = { name, documents: ends.length, tokens, blocks };
      const head = Buffer.alloc(headerBytes);
      head.write(magic, "latin1");
      head.writeUInt32LE(ids.BYTES_PER_ELEMENT, 8);
      head.writeUInt32LE(ends.length, 12);
      head.writeDoubleLE(tokens, 16);
      head.writeUInt32LE(withSignatures ? 1 : 0, 24);
      const hashes = new Uint32Array(2 * ends.length);
      const signatures = new Uint8Array(withSignatures ? signatureSize * ends.length : 0);
      ends.forEach((end, i) => {
        const start = i === 0 ? 0 : ends[i - 1];
        hashTokens(ids, start, end, hashes, 2 * i);
        if (withSignatures) minHash(ids, start, end, signatures, signatureSize * i);
      });
      const idBytes = ids.BYTES_PER_ELEMENT * tokens;
      writeFileAtomic(path, [
        head,
        new Uint8Array(ids.buffer, 0, idBytes),
        new Uint8Array(aligned(idBytes) - idBytes),
        new Uint8Array(Uint32Array.from(ends).buffer),
        new Uint8Array(hashes.buffer),
        signatures,
      ]);
      tokens = 0;
      blockStart = 0;
      ends = [];
      blocks = [];
      return info;
    },
  };
}

/** A shard opened for reading. */
export interface ShardFile {
  readonly documents: number;
  readonly tokens: number;
  /** Ends of documents `from` to `to`, after the end of the one before `from` (0 for the first). [to - from + 1] */
  ends(from: number, to: number): Uint32Array;
  /** Tokens `start` to `end`. */
  ids(start: number, end: number): Uint16Array | Int32Array;
  /** Hashes of all documents, two words each. */
  hashes(): Uint32Array;
  /** Signatures of all documents; empty where they were not asked for. */
  signatures(): Uint8Array;
  close(): void;
}

/** @throws CORPUS_STORE_INVALID when the file is cut or something else */
export function openShard(path: string): ShardFile {
  let file: number;
  try {
    file = openSync(path, "r");
  } catch (cause) {
    throw invalid(path, cause instanceof Error ? cause.message : String(cause));
  }
  const read = (start: number, bytes: number): Buffer => {
    const buffer = Buffer.from(new ArrayBuffer(bytes));
    for (let done = 0; done < bytes; ) {
      const count = readSync(file, buffer, done, bytes - done, start + done);
      if (count === 0) throw invalid(path, `an end after ${start + done} bytes`);
      done += count;
    }
    return buffer;
  };
  try {
    const { size } = fstatSync(file);
    if (size < headerBytes) throw invalid(path, `${size} bytes`);
    const head = read(0, headerBytes);
    if (head.toString("latin1", 0, 8) !== magic) throw invalid(path, "another kind of file");
    const idBytes = head.readUInt32LE(8);
    const documents = head.readUInt32LE(12);
    const tokens = head.readDoubleLE(16);
    const signed = head.readUInt32LE(24) === 1;
    const endsAt = headerBytes + aligned(idBytes * tokens);
    const hashesAt = endsAt + 4 * documents;
    const signaturesAt = hashesAt + 8 * documents;
    const expected = signaturesAt + (signed ? signatureSize * documents : 0);
    if (size !== expected) throw invalid(path, `${size} bytes instead of ${expected}`);
    return {
      documents,
      tokens,
      ends(from, to) {
        const ends = new Uint32Array(to - from + 1);
        const first = Math.max(0, from - 1);
        const stored = new Uint32Array(read(endsAt + 4 * first, 4 * (to - first)).buffer);
        ends.set(stored, from === 0 ? 1 : 0);
        return ends;
      },
      ids(start, end) {
        const { buffer } = read(headerBytes + idBytes * start, idBytes * (end - start));
        return idBytes === 2 ? new Uint16Array(buffer) : new Int32Array(buffer);
      },
      hashes: () => new Uint32Array(read(hashesAt, 8 * documents).buffer),
      signatures: () => new Uint8Array(read(signaturesAt, signed ? signatureSize * documents : 0).buffer),
      close: () => closeSync(file),
    };
  } catch (error) {
    closeSync(file);
    throw error;
  }
}

const invalid = (path: string, received: string): ClozeError =>
  new ClozeError("CORPUS_STORE_INVALID", `${path} is no shard of a corpus, or is damaged`, {
    received,
    remedy: "Delete the folder that holds it; it is made again from the texts.",
  });
