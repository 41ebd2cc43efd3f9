// States of documents in a folder: a log, in which each text stands once under its hash, so that a text that changed is read anew.
import { createHash } from "node:crypto";
import { closeSync, existsSync, ftruncateSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "@cloze/tensor";
import { z } from "zod";
import { ClozeError } from "../../errors.js";
import { guardWrite, openForAppend, readAt, writeAt } from "../store/file-io.js";
import { encodeRecord, readRecords } from "../store/record-log.js";
import { lockFolder } from "../store/write-lock.js";
import type { StoredDocumentStates } from "./split-ranker.js";

export interface StateStore {
  /** Texts that are kept. */
  readonly size: number;
  get(text: string): StoredDocumentStates | undefined;
  /** @throws DISK_FULL, FILE_WRITE */
  put(text: string, states: StoredDocumentStates): void;
  close(): void;
}

const manifestSchema = z.object({ format: z.literal("cloze-states"), version: z.literal(1), fingerprint: z.string() });
const keyOf = (text: string): string => createHash("sha256").update(text).digest("hex");
const bytesOf = ({ buffer, byteOffset, byteLength }: Int32Array | Uint16Array | Float32Array) =>
  new Uint8Array(buffer, byteOffset, byteLength);

/** Tokens, whether states are codes, segment, first position; ids; states. */
function encodeStates(text: StoredDocumentStates): Buffer {
  const { ids, segments, positions } = text;
  const coded = "codes" in text;
  const head = Int32Array.of(ids.length, Number(coded), segments[0] ?? 0, positions[0] ?? 0);
  return Buffer.concat([head, ids, coded ? text.codes : text.states].map(bytesOf));
}

function decodeStates(bytes: Uint8Array): StoredDocumentStates {
  // A copy begins where numbers may begin.
  const { buffer } = Uint8Array.from(bytes);
  const [count, coded, segment, first] = new Int32Array(buffer, 0, 4);
  const ids = new Int32Array(buffer, 16, count);
  const rest = 16 + 4 * count;
  const shared = {
    ids,
    segments: new Int32Array(count).fill(segment),
    positions: Int32Array.from(ids, (_, i) => first + i),
  };
  return coded === 1
    ? { ...shared, codes: new Uint16Array(buffer, rest) }
    : { ...shared, states: new Float32Array(buffer, rest) };
}

function checkManifest(folder: string, fingerprint: string): void {
  const path = join(folder, "states.json");
  if (!existsSync(path)) {
    writeFileAtomic(path, `${JSON.stringify({ format: "cloze-states", version: 1, fingerprint })}\n`);
    return;
  }
  let made: string;
  try {
    made = manifestSchema.parse(JSON.parse(readFileSync(path, "utf8"))).fingerprint;
  } catch (cause) {
    throw new ClozeError("STATES_FILE", `${path} describes no states of documents`, {
      expected: "a folder that --states has made",
      received: cause instanceof z.ZodError ? z.prettifyError(cause) : String(cause),
      cause,
    });
  }
  if (made === fingerprint) return;
  throw new ClozeError("STATES_MODEL", `${folder} holds what another reranker read of documents`, {
    expected: made.slice(0, 12),
    received: fingerprint.slice(0, 12),
    remedy: "Name another folder, which is made, or remove this one.",
  });
}

/**
 * Opens a folder of states, or makes it. One process at a time; what a crash cut off is read anew.
 *
 * @param fingerprint of the reranker: states of another are refused
 * @throws STATES_MODEL, STATES_FILE, INDEX_LOCKED, FILE_WRITE, DISK_FULL
 */
export function openStateStore(folder: string, fingerprint: string): StateStore {
  guardWrite(folder, () => mkdirSync(folder, { recursive: true }));
  const unlock = lockFolder(folder);
  const path = join(folder, "states.log");
  let file: number | undefined;
  const places = new Map<string, { start: number; bytes: number }>();
  let end = 0;
  try {
    checkManifest(folder, fingerprint);
    file = openForAppend(path);
    for (const { id, bodyOffset, body, end: recordEnd } of readRecords(file)) {
      places.set(id, { start: bodyOffset, bytes: body.length });
      end = recordEnd;
    }
    ftruncateSync(file, end);
  } catch (error) {
    if (file !== undefined) closeSync(file);
    unlock();
    throw error;
  }
  const open = file;
  return {
    get size() {
      return places.size;
    },
    get(text) {
      const place = places.get(keyOf(text));
      if (place === undefined) return undefined;
      const bytes = new Uint8Array(place.bytes);
      return readAt(open, bytes, place.start) === place.bytes ? decodeStates(bytes) : undefined;
    },
    put(text, states) {
      const id = keyOf(text);
      if (places.has(id)) return;
      const body = encodeStates(states);
      const { bytes, bodyStart } = encodeRecord({ kind: "put", id, body, vectorCheck: 0 });
      guardWrite(path, () => writeAt(open, bytes, end));
      places.set(id, { start: end + bodyStart, bytes: body.length });
      end += bytes.length;
    },
    close() {
      closeSync(open);
      unlock();
    },
  };
}
