// A part of an index: a log of documents and deletions, a file of their vectors, and what is derived from both for
// searching. The log and the vectors are the truth; the derived file is made when a segment is closed, and again where it is
// missing or damaged.
import { closeSync, fdatasyncSync, fstatSync, ftruncateSync, openSync } from "node:fs";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import type { Analyzer } from "../lexical/analyzer.js";
import { createPostingsBuilder, type Postings } from "../lexical/postings.js";
import { type DerivedFile, openDerived, writeDerived } from "./derived-file.js";
import {
  type DocumentCodes,
  decodeBody,
  encodeBody,
  fieldTerms,
  type IndexedDocument,
  type StoredDocument,
  searchedText,
} from "./document.js";
import { guardWrite, openForAppend, readAt, writeAt } from "./file-io.js";
import { encodeRecord, readRecords } from "./record-log.js";
import { rowReader, tokenReader } from "./segment-readers.js";
import { type ListedPostings, listed, openPostings, packTexts, postingsArrays } from "./stored-postings.js";
import { centroidsIn } from "./token-codes.js";
import type { VectorCodec } from "./vector-codec.js";

/** A deletion: of a document that was added before it. */
export interface Deletion {
  readonly id: string;
  /** Documents of this segment that stand before it. */
  readonly after: number;
}

export interface Segment {
  readonly name: string;
  /** Documents, also those that were replaced or deleted since. */
  readonly size: number;
  /** Whole bytes of the log. */
  readonly bytes: number;
  readonly deletions: readonly Deletion[];
  /** A byte for each document: 1 once it is replaced or deleted. Longer than `size` at times. */
  readonly dead: Uint8Array;
  readonly words: ListedPostings;
  readonly fields: ListedPostings;
  /** Weights of terms by their numbers; without any where the index keeps none. */
  readonly weights: Postings;
  /** Tokens of all documents. */
  readonly tokens: number;
  /** Tokens by their centroids' numbers; without any where the index keeps none. */
  readonly cells: Postings;
  idOf(document: number): string;
  read(document: number): StoredDocument;
  /** The first bytes of the codes of a document's tokens, which are on the disk: `each` for each token. */
  readTokens(document: number, each: number): Uint8Array;
  /** The rows of all documents' vectors; read when they are first asked for. */
  vectorRows(): Uint8Array;
  kill(document: number): void;
  close(): void;
}

/** What is kept of a document beside its texts and fields. */
export interface DocumentParts extends DocumentCodes {
  /** Its vector, or the row of that. */
  readonly vector?: Float32Array | Uint8Array;
}

/** A segment that grows. */
export interface ActiveSegment extends Segment {
  /** Whether its log held more behind the last whole record when it was opened. */
  readonly cut: boolean;
  /** Adds documents, and deletions; nothing is certain before `sync`. */
  put(document: IndexedDocument, parts: DocumentParts): void;
  remove(id: string): void;
  /** Flushes everything to the disk. @throws DISK_FULL, FILE_WRITE; then it must be opened anew: what was added is lost */
  sync(): void;
  /** Writes what is derived, so that the next reader need not. */
  seal(): void;
}

export const logPath = (folder: string, name: string): string => join(folder, `${name}.log`);
export const vectorPath = (folder: string, name: string): string => join(folder, `${name}.vectors`);
export const derivedPath = (folder: string, name: string): string => join(folder, `${name}.index`);

/** How the texts and vectors of an index are read. */
export interface SegmentSettings {
  readonly analyze: Analyzer;
  /** Absent: no vectors. */
  readonly codec?: VectorCodec;
  /** Bytes of a token's codes; 0: no token vectors. */
  readonly tokenBytes: number;
}

const noCodes = new Uint8Array(0);

/**
 * A closed segment by its derived file; undefined where that is missing, damaged, or of a log of another length: a writer that
 * was killed after it had written one, and before it had said so, may go on with the log.
 *
 * @param closedAt bytes of the log when the segment was closed
 */
export function openSealed(
  folder: string,
  name: string,
  closedAt: number,
  { codec, tokenBytes }: SegmentSettings,
): Segment | undefined {
  const derived = openDerived(derivedPath(folder, name));
  if (derived === undefined) return undefined;
  const log = openSync(logPath(folder, name), "r");
  const { size, bytes, rowBytes } = derived.facts as { size: number; bytes: number; rowBytes: number };
  const vectorsFit = codec === undefined || fileSize(vectorPath(folder, name)) >= size * codec.rowBytes;
  if (bytes !== closedAt || fstatSync(log).size < bytes || rowBytes !== (codec?.rowBytes ?? 0) || !vectorsFit) {
    derived.close();
    closeSync(log);
    return undefined;
  }
  const ids = Buffer.from(derived.read("ids", Uint8Array).buffer);
  const idOffsets = derived.read("id-offsets", Uint32Array);
  const bodyOffsets = derived.read("body-offsets", Float64Array);
  const bodyLengths = derived.read("body-lengths", Uint32Array);
  const dead = new Uint8Array(size);
  const cells = openPostings(derived, "cells");
  const idOf = (document: number) => ids.toString("utf8", idOffsets[document], idOffsets[document + 1]);
  return {
    name,
    size,
    bytes,
    dead,
    deletions: deletionsOf(derived),
    words: openPostings(derived, "words"),
    fields: openPostings(derived, "fields"),
    weights: openPostings(derived, "weights"),
    tokens: cells.lengths.reduce((sum, length) => sum + length, 0),
    cells,
    idOf,
    read(document) {
      const body = new Uint8Array(bodyLengths[document]);
      readAt(log, body, bodyOffsets[document]);
      return decodeBody(idOf(document), body);
    },
    readTokens: tokenReader(log, tokenBytes, (document) => ({
      count: cells.lengths[document] ?? 0,
      bodyEnd: bodyOffsets[document] + bodyLengths[document],
    })),
    vectorRows: rowReader(vectorPath(folder, name), codec, () => size),
    kill(document) {
      dead[document] = 1;
    },
    close() {
      derived.close();
      closeSync(log);
    },
  };
}

function fileSize(path: string): number {
  try {
    const file = openSync(path, "r");
    const { size } = fstatSync(file);
    closeSync(file);
    return size;
  } catch {
    return 0;
  }
}

function deletionsOf(derived: DerivedFile): Deletion[] {
  const ids = Buffer.from(derived.read("deleted", Uint8Array).buffer);
  const offsets = derived.read("deleted-offsets", Uint32Array);
  const after = derived.read("deleted-after", Uint32Array);
  return Array.from(after, (place, i) => ({ id: ids.toString("utf8", offsets[i], offsets[i + 1]), after: place }));
}

/**
 * A segment by its log: as far as it is whole, whatever stands behind. With `writable`, what stands behind is cut off, and
 * documents can be added.
 */
export function openByLog(
  folder: string,
  name: string,
  { analyze, codec, tokenBytes }: SegmentSettings,
  writable: boolean,
): ActiveSegment {
  const [path, vectors] = [logPath(folder, name), vectorPath(folder, name)];
  const log = writable ? openForAppend(path) : openSync(path, "r");
  const rowFile = codec === undefined ? undefined : writable ? openForAppend(vectors) : openSync(vectors, "r");
  const ids: string[] = [];
  const bodyOffsets: number[] = [];
  const bodyLengths: number[] = [];
  const deletions: Deletion[] = [];
  const builders = {
    words: createPostingsBuilder(),
    fields: createPostingsBuilder(),
    weights: createPostingsBuilder(),
    cells: createPostingsBuilder(),
  };
  let dead = new Uint8Array(64);
  let bytes = 0;
  let tokenCount = 0;
  let postings: Record<keyof typeof builders, ListedPostings> | undefined;
  // What has been written, and not flushed.
  let pending: Buffer[] = [];
  let pendingBytes = 0;
  let pendingRows: Uint8Array[] = [];

  const keep = (
    { document, weights: [terms, codes] = [[], []], tokens = noCodes }: StoredDocument,
    bodyOffset: number,
    bodyLength: number,
  ) => {
    if (dead.length <= ids.length) {
      const larger = new Uint8Array(dead.length * 2);
      larger.set(dead);
      dead = larger;
    }
    ids.push(document.id);
    bodyOffsets.push(bodyOffset);
    bodyLengths.push(bodyLength);
    builders.words.add(analyze(searchedText(document)));
    builders.fields.add(fieldTerms(document.fields));
    builders.weights.add(terms.map(String), codes);
    const centroids = centroidsIn(tokens, tokens.length / Math.max(1, tokenBytes));
    builders.cells.add(Array.from(centroids, String));
    tokenCount += centroids.length;
    postings = undefined;
  };
  const rowFits = (document: number, check: number): boolean => {
    if (rowFile === undefined || codec === undefined) return true;
    const row = new Uint8Array(codec.rowBytes);
    return readAt(rowFile, row, document * codec.rowBytes) === row.length && crc32(row) === check;
  };
  for (const record of readRecords(log)) {
    if (record.kind === "delete") deletions.push({ id: record.id, after: ids.length });
    else if (rowFits(ids.length, record.vectorCheck))
      keep(decodeBody(record.id, record.body), record.bodyOffset, record.body.length);
    else break;
    bytes = record.end;
  }
  let acknowledged = ids.length;
  const cut = fstatSync(log).size > bytes;
  if (writable && cut) ftruncateSync(log, bytes);

  const append = (kind: "put" | "delete", id: string, body: Uint8Array, vectorCheck: number): number => {
    const record = encodeRecord({ kind, id, body, vectorCheck });
    const bodyOffset = bytes + pendingBytes + record.bodyStart;
    pending.push(record.bytes);
    pendingBytes += record.bytes.length;
    return bodyOffset;
  };
  const finish = () => {
    postings ??= {
      words: listed(builders.words.finish()),
      fields: listed(builders.fields.finish()),
      weights: listed(builders.weights.finish()),
      cells: listed(builders.cells.finish()),
    };
    return postings;
  };
  const readBody = (document: number): Uint8Array => {
    const body = new Uint8Array(bodyLengths[document]);
    if (bodyOffsets[document] < bytes) readAt(log, body, bodyOffsets[document]);
    return body;
  };
  const segment: ActiveSegment = {
    name,
    cut,
    get size() {
      return ids.length;
    },
    get bytes() {
      return bytes;
    },
    deletions,
    get dead() {
      return dead;
    },
    get words() {
      return finish().words;
    },
    get fields() {
      return finish().fields;
    },
    get weights() {
      return finish().weights;
    },
    get tokens() {
      return tokenCount;
    },
    get cells() {
      return finish().cells;
    },
    idOf: (document) => ids[document],
    read: (document) => decodeBody(ids[document], readBody(document)),
    readTokens: tokenReader(log, tokenBytes, (document) => ({
      count: finish().cells.lengths[document],
      bodyEnd: bodyOffsets[document] + bodyLengths[document],
    })),
    vectorRows: rowReader(vectors, codec, () => acknowledged),
    kill(document) {
      dead[document] = 1;
    },
    put(document, { vector, ...codes }) {
      const body = encodeBody(document, codes);
      let check = 0;
      if (codec !== undefined && vector !== undefined) {
        const row = vector instanceof Uint8Array ? vector : new Uint8Array(codec.rowBytes);
        if (vector instanceof Float32Array) codec.encode(vector, row);
        check = crc32(row);
        pendingRows.push(row);
      }
      const bodyOffset = append("put", document.id, body, check);
      keep({ document, ...codes }, bodyOffset, body.length);
    },
    remove(id) {
      append("delete", id, new Uint8Array(0), 0);
      deletions.push({ id, after: ids.length });
    },
    sync() {
      if (pending.length === 0) return;
      try {
        guardWrite(path, () => {
          // Vectors first: a record is whole only where its vector is.
          if (rowFile !== undefined && codec !== undefined && pendingRows.length > 0) {
            writeAt(rowFile, Buffer.concat(pendingRows), acknowledged * codec.rowBytes);
            fdatasyncSync(rowFile);
          }
          writeAt(log, Buffer.concat(pending), bytes);
          fdatasyncSync(log);
        });
        bytes += pendingBytes;
        acknowledged = ids.length;
      } catch (error) {
        try {
          ftruncateSync(log, bytes);
        } catch {
          // The next to open it finds where the whole records end.
        }
        throw error;
      } finally {
        pending = [];
        pendingRows = [];
        pendingBytes = 0;
      }
    },
    seal() {
      const idBytes = packTexts(ids);
      const deleted = packTexts(deletions.map(({ id }) => id));
      const weights = builders.weights.finish();
      const cells = builders.cells.finish();
      writeDerived(
        derivedPath(folder, name),
        { size: ids.length, bytes, rowBytes: codec?.rowBytes ?? 0 },
        {
          ids: idBytes.bytes,
          "id-offsets": idBytes.offsets,
          "body-offsets": Float64Array.from(bodyOffsets),
          "body-lengths": Uint32Array.from(bodyLengths),
          deleted: deleted.bytes,
          "deleted-offsets": deleted.offsets,
          "deleted-after": Uint32Array.from(deletions, ({ after }) => after),
          ...postingsArrays("words", builders.words.finish()),
          ...postingsArrays("fields", builders.fields.finish()),
          ...(weights.terms.size > 0 && postingsArrays("weights", weights)),
          ...(cells.terms.size > 0 && postingsArrays("cells", cells)),
        },
      );
    },
    close() {
      closeSync(log);
      if (rowFile !== undefined) closeSync(rowFile);
    },
  };
  return segment;
}
