// The append-only file that is the truth of a segment: documents and deletions, each with its length and checksum. What
// follows the last whole record was cut by a crash, before it was acknowledged, and is written over.
import { crc32 } from "node:zlib";
import { readAt } from "./file-io.js";

/** A document, or the removal of one, as it lies in a log. */
export interface LogRecord {
  readonly kind: "put" | "delete";
  readonly id: string;
  /** What is kept of a document, as JSON; empty for a deletion. */
  readonly body: Uint8Array;
  /** Checksum of the document's row in the vector file; 0 without vectors. */
  readonly vectorCheck: number;
}

/** A record, and where its body lies in the file. */
export interface FoundRecord extends LogRecord {
  readonly bodyOffset: number;
  /** Where the next record begins. */
  readonly end: number;
}

const headBytes = 8; // length u32, crc32 u32
const fixedBytes = 9; // kind u8, vector check u32, length of the id u32
const kinds = ["put", "delete"] as const;

/** The bytes of a record, and where its body begins in them. */
export function encodeRecord({ kind, id, body, vectorCheck }: LogRecord): { bytes: Buffer; bodyStart: number } {
  const idBytes = Buffer.byteLength(id);
  const length = fixedBytes + idBytes + body.length;
  const bytes = Buffer.allocUnsafe(headBytes + length);
  bytes.writeUInt32LE(length, 0);
  bytes.writeUInt8(kinds.indexOf(kind), headBytes);
  bytes.writeUInt32LE(vectorCheck, headBytes + 1);
  bytes.writeUInt32LE(idBytes, headBytes + 5);
  bytes.write(id, headBytes + fixedBytes);
  bytes.set(body, headBytes + fixedBytes + idBytes);
  bytes.writeUInt32LE(crc32(bytes.subarray(headBytes)), 4);
  return { bytes, bodyStart: headBytes + fixedBytes + idBytes };
}

const largestRecord = 1 << 30;
const blockBytes = 1 << 22;

/** The whole records of a file, in order, up to the first that is cut or damaged. */
export function* readRecords(file: number, start = 0): Generator<FoundRecord> {
  let block = Buffer.alloc(blockBytes);
  let blockStart = start;
  let held = readAt(file, block, start);
  let position = start;
  /** Makes sure that `count` bytes from the position are in the block; false where the file ends before. */
  const need = (count: number): boolean => {
    const at = position - blockStart;
    if (at + count <= held) return true;
    if (count > block.length) block = Buffer.alloc(Math.max(count, blockBytes));
    blockStart = position;
    held = readAt(file, block, position);
    return count <= held;
  };
  for (;;) {
    if (!need(headBytes)) return;
    const length = block.readUInt32LE(position - blockStart);
    if (length < fixedBytes || length > largestRecord || !need(headBytes + length)) return;
    const at = position - blockStart;
    const payload = block.subarray(at + headBytes, at + headBytes + length);
    if (crc32(payload) !== block.readUInt32LE(at + 4)) return;
    const idEnd = fixedBytes + payload.readUInt32LE(5);
    const kind = kinds[payload[0]];
    if (kind === undefined || idEnd > length) return;
    const end = position + headBytes + length;
    yield {
      kind,
      id: payload.toString("utf8", fixedBytes, idEnd),
      body: payload.subarray(idEnd),
      vectorCheck: payload.readUInt32LE(1),
      bodyOffset: position + headBytes + idEnd,
      end,
    };
    position = end;
  }
}
