// A file of named arrays that can be made again from a log: what is missing or damaged is simply rebuilt.
import { closeSync, fstatSync, openSync } from "node:fs";
import { crc32 } from "node:zlib";
import { writeFileAtomic } from "@cloze/tensor";
import { readAt } from "./file-io.js";

/** An array on disk. */
export interface StoredArray {
  readonly offset: number;
  readonly bytes: number;
}

/** An open derived file. */
export interface DerivedFile {
  readonly facts: Readonly<Record<string, unknown>>;
  has(name: string): boolean;
  /** Reads elements of an array; all of it unless told. */
  read<T extends ArrayBufferView>(name: string, type: ArrayType<T>, start?: number, count?: number): T;
  close(): void;
}

type ArrayType<T> = { new (buffer: ArrayBuffer): T; readonly BYTES_PER_ELEMENT: number };

const magic = "cloze-derived-1\n";
const alignment = 8;
const aligned = (bytes: number): number => Math.ceil(bytes / alignment) * alignment;

/** Writes arrays under their names, with some facts, in one step. */
export function writeDerived(
  path: string,
  facts: Readonly<Record<string, unknown>>,
  arrays: Readonly<Record<string, ArrayBufferView>>,
): void {
  const places: Record<string, StoredArray> = {};
  let offset = 0;
  for (const [name, { byteLength }] of Object.entries(arrays)) {
    places[name] = { offset, bytes: byteLength };
    offset += aligned(byteLength);
  }
  const header = Buffer.from(JSON.stringify({ facts, places }));
  writeFileAtomic(
    path,
    (function* () {
      const head = Buffer.alloc(magic.length + 8);
      head.write(magic);
      head.writeUInt32LE(header.length, magic.length);
      head.writeUInt32LE(crc32(header), magic.length + 4);
      yield head;
      yield header;
      yield Buffer.alloc(aligned(head.length + header.length) - head.length - header.length);
      for (const array of Object.values(arrays)) {
        const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
        yield bytes;
        yield Buffer.alloc(aligned(bytes.length) - bytes.length);
      }
    })(),
  );
}

/** Opens a derived file; undefined where there is none, or it is not whole. */
export function openDerived(path: string): DerivedFile | undefined {
  let file: number;
  try {
    file = openSync(path, "r");
  } catch {
    return undefined;
  }
  const refuse = (): undefined => {
    closeSync(file);
    return undefined;
  };
  const head = Buffer.alloc(magic.length + 8);
  if (readAt(file, head, 0) < head.length || head.toString("latin1", 0, magic.length) !== magic) return refuse();
  const header = Buffer.alloc(Math.min(1 << 26, head.readUInt32LE(magic.length)));
  if (readAt(file, header, head.length) < header.length || crc32(header) !== head.readUInt32LE(magic.length + 4))
    return refuse();
  const { facts, places } = JSON.parse(header.toString("utf8")) as {
    facts: Record<string, unknown>;
    places: Record<string, StoredArray>;
  };
  const base = aligned(head.length + header.length);
  const end = Object.values(places).reduce((most, place) => Math.max(most, place.offset + place.bytes), 0);
  if (fstatSync(file).size < base + end) return refuse();
  return {
    facts,
    has: (name) => Object.hasOwn(places, name),
    read(name, type, start = 0, count) {
      const { offset, bytes } = places[name];
      const size = type.BYTES_PER_ELEMENT;
      const length = count === undefined ? bytes - start * size : count * size;
      const buffer = new ArrayBuffer(length);
      readAt(file, new Uint8Array(buffer), base + offset + start * size);
      return new type(buffer);
    },
    close: () => closeSync(file),
  };
}
