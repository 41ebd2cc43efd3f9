// Which files a corpus consists of: folders and patterns become files, binary and empty ones are left out and counted.
import { isUtf8 } from "node:buffer";
import { createHash } from "node:crypto";
import { closeSync, openSync, readdirSync, readSync, statSync } from "node:fs";
import { join } from "node:path";
import { globSync, isDynamicPattern } from "tinyglobby";
import { ClozeError } from "../../errors.js";
import { compressionOf } from "../../text/compression.js";
import { isUtf16 } from "../../text/text-decoder.js";
import { createWarnings, type DataWarnings } from "../readers/warnings.js";

/** How the documents of a file are written. */
export type CorpusFormat = "text" | "jsonl" | "parquet" | "csv" | "tsv";

export interface CorpusFile {
  readonly path: string;
  readonly format: CorpusFormat;
  readonly bytes: number;
  /** Packed as a whole by gzip or Zstandard, or UTF-16: it can only be read from its start. */
  readonly sequential: boolean;
  /** Of its size and of what stands at its start and end. */
  readonly fingerprint: string;
}

const formats: Record<string, CorpusFormat> = {
  jsonl: "jsonl",
  ndjson: "jsonl",
  json: "jsonl",
  parquet: "parquet",
  csv: "csv",
  tsv: "tsv",
};
const probeBytes = 1 << 16;

const startsWith = (bytes: Uint8Array, ...start: number[]): boolean => start.every((byte, i) => bytes[i] === byte);
const isPacked = (head: Uint8Array): boolean => compressionOf(head) !== "none";
const isParquet = (head: Uint8Array): boolean => startsWith(head, 0x50, 0x41, 0x52, 0x31);

/** Whether a fifth of it is nothing that texts have: NUL, other control characters, bytes that are not UTF-8. */
function isBinary(head: Buffer): boolean {
  if (isUtf8(head) && !head.includes(0)) return false;
  const text = head.toString("utf8");
  let bad = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 0xfffd || (code < 32 && code !== 9 && code !== 10 && code !== 12 && code !== 13)) bad++;
  }
  return bad > 0.2 * text.length;
}

function readAt(handle: number, position: number, bytes: number): Buffer {
  const buffer = Buffer.alloc(bytes);
  return buffer.subarray(0, readSync(handle, buffer, 0, bytes, position));
}

function missing(path: string): ClozeError {
  return new ClozeError("CORPUS_FILE_MISSING", `There is no file ${path}`, {
    expected: "a file, a folder, or a pattern such as 'texts/*.jsonl'",
    received: "no such file",
    remedy: "Check the path.",
  });
}

/** The files that a path stands for, by name. Hidden files and links are left out. */
function expand(path: string): string[] {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) {
    const found = isDynamicPattern(path) ? globSync(path, { absolute: path.startsWith("/"), onlyFiles: true }) : [];
    if (found.length === 0) throw missing(path);
    return found.sort();
  }
  if (!stats.isDirectory()) return [path];
  return readdirSync(path, { withFileTypes: true })
    .filter(({ name }) => !name.startsWith("."))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      if (entry.isDirectory()) return expand(join(path, entry.name));
      return entry.isFile() ? [join(path, entry.name)] : [];
    });
}

/** What kind of file it is; undefined, with a warning, for one that holds no text. */
function inspect(path: string, warnings: DataWarnings): CorpusFile | undefined {
  const { size } = statSync(path);
  if (size === 0) {
    warnings.add("CORPUS_EMPTY_FILE", "files of 0 bytes, left out", path);
    return undefined;
  }
  const handle = openSync(path, "r");
  try {
    const head = readAt(handle, 0, Math.min(size, probeBytes));
    const tail = readAt(handle, Math.max(0, size - probeBytes), Math.min(size, probeBytes));
    const name = path.toLowerCase().replace(/\.(gz|zst|zstd)$/, "");
    const named = formats[name.slice(name.lastIndexOf(".") + 1)];
    const sequential = isPacked(head) || isUtf16(head);
    if (!sequential && !isParquet(head) && isBinary(head)) {
      warnings.add("CORPUS_BINARY_FILE", "files that hold no text, left out", path);
      return undefined;
    }
    const fingerprint = createHash("sha256").update(String(size)).update(head).update(tail).digest("hex").slice(0, 16);
    return { path, format: isParquet(head) ? "parquet" : (named ?? "text"), bytes: size, sequential, fingerprint };
  } finally {
    closeSync(handle);
  }
}

/**
 * The files that paths stand for: files, folders with all they hold, and patterns. The format goes by the name (JSON lines,
 * Parquet, CSV, TSV, packed or not); whatever else holds text is text.
 *
 * @throws CORPUS_FILE_MISSING, CORPUS_EMPTY when no file holds text
 */
export function findCorpusFiles(paths: readonly string[], warnings: DataWarnings): CorpusFile[] {
  const names = [...new Set(paths.flatMap(expand))];
  const files = names.flatMap((path) => inspect(path, warnings) ?? []);
  if (files.length > 0) return files;
  throw noText(paths, names.length === 0 ? "no file" : `${names.length} file(s), all empty or binary`);
}

/** The error for a corpus without text. */
export const noText = (paths: readonly string[], received: string): ClozeError =>
  new ClozeError("CORPUS_EMPTY", `There is no text in ${paths.join(", ") || "no files at all"}`, {
    expected: "at least one file of text, JSON lines or Parquet",
    received,
    remedy: "Check the paths.",
  });

/** Bytes of all files that paths stand for, as they lie on the disk. @throws as {@link findCorpusFiles} */
export const corpusBytes = (paths: readonly string[]): number =>
  findCorpusFiles(paths, createWarnings()).reduce((sum, { bytes }) => sum + bytes, 0);
