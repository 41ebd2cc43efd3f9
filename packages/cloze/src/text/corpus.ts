import { closeSync, openSync, readdirSync, readFileSync, readSync, statSync } from "node:fs";
import { join } from "node:path";
import type { TextDecoder } from "node:util";
import { ClozeError } from "../errors.js";
import { compressionOf, unpackBytes } from "./compression.js";
import { textDecoderOf } from "./text-decoder.js";

/** Options of {@link readLines}. */
export interface ReadLinesOptions {
  /** Whether blank lines are given too (some corpora separate documents by them); false by default. */
  keepBlank?: boolean;
  /** Longer lines are given in parts of this many UTF-16 units; 1,048,576 by default. */
  longestLine?: number;
}

const CHUNK_BYTES = 1 << 18;

/**
 * The lines of text files, read bit by bit as they are asked for: a corpus may be larger than memory. What is given can
 * be gone through more than once; each time the files are read anew.
 *
 * Text is UTF-8 (or UTF-16 with a byte-order mark), plain or packed by gzip or Zstandard; what is packed is unpacked in memory.
 * Bytes that are not text become U+FFFD, NUL stays, line ends are left out.
 *
 * @param paths files; a folder stands for the `.txt` files in it (packed or not), by name.
 * @throws ClozeError `CORPUS_FILE_MISSING`, `CORPUS_EMPTY` for a file without text, `CORPUS_FILE_READ`,
 *   `DATA_COMPRESSION` for a packed file that is cut or damaged. Missing and empty files are reported at once, the others when
 *   they are reached.
 * @example
 * for (const line of readLines(["a.txt", "b.txt"])) console.log(line);
 */
export function readLines(paths: string | readonly string[], options: ReadLinesOptions = {}): Iterable<string> {
  const files = (typeof paths === "string" ? [paths] : paths).flatMap(textFiles);
  if (files.length === 0) {
    throw new ClozeError("CORPUS_EMPTY", "No corpus file was named.", {
      expected: "at least one file",
      received: "none",
      remedy: "Give the path of a text file.",
    });
  }
  return {
    *[Symbol.iterator]() {
      for (const file of files) yield* linesOf(file, options);
    },
  };
}

/** The files that a path stands for: a folder for the `.txt` files in it, by name. @throws as {@link readLines} */
function textFiles(path: string): string[] {
  let stats: ReturnType<typeof statSync>;
  try {
    stats = statSync(path, { throwIfNoEntry: false });
  } catch (cause) {
    throw readFailure(path, cause);
  }
  if (!stats) {
    throw new ClozeError("CORPUS_FILE_MISSING", `There is no file ${path}.`, {
      expected: "a text file, or a folder of .txt files",
      received: "no such file",
      remedy: "Check the path.",
    });
  }
  if (stats.isDirectory()) {
    const names = readdirSync(path)
      .filter((name) => /\.txt(\.(gz|zst|zstd))?$/.test(name))
      .sort();
    if (names.length === 0) throw empty(path, "a folder without .txt files");
    return names.flatMap((name) => textFiles(join(path, name)));
  }
  if (stats.isFile() && stats.size === 0) throw empty(path, "a file of 0 bytes");
  return [path];
}

function empty(path: string, received: string): ClozeError {
  return new ClozeError("CORPUS_EMPTY", `There is no text in ${path}.`, {
    expected: "lines of text",
    received,
    remedy: "Leave the file out, or check what was to write it.",
  });
}

function readFailure(path: string, cause: unknown): ClozeError {
  return new ClozeError("CORPUS_FILE_READ", `${path} could not be read.`, {
    received: cause instanceof Error ? cause.message : String(cause),
    remedy: "Check the file and its permissions.",
    cause,
  });
}

/** The decoded text of a file, piece by piece. */
function* chunksOf(path: string): Generator<string> {
  let handle: number;
  try {
    handle = openSync(path, "r");
  } catch (cause) {
    throw readFailure(path, cause);
  }
  try {
    const buffer = new Uint8Array(CHUNK_BYTES);
    let decoder: TextDecoder | null = null;
    for (;;) {
      let size: number;
      try {
        size = readSync(handle, buffer);
      } catch (cause) {
        throw readFailure(path, cause);
      }
      if (size === 0) break;
      const piece = buffer.subarray(0, size);
      if (decoder === null && compressionOf(piece) !== "none") {
        yield* unpackedChunks(path, piece, handle);
        return;
      }
      decoder ??= textDecoderOf(piece);
      yield decoder.decode(piece, { stream: true });
    }
    if (decoder) yield decoder.decode();
  } finally {
    closeSync(handle);
  }
}

/** The decoded text of a packed file, which is unpacked in memory: there is no way to do it in pieces without waiting. */
function* unpackedChunks(path: string, start: Uint8Array, handle: number): Generator<string> {
  const bytes = unpackBytes(Buffer.concat([start, readFileSync(handle)]), path);
  const decoder = textDecoderOf(bytes);
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
    yield decoder.decode(bytes.subarray(at, at + CHUNK_BYTES), { stream: true });
  }
  yield decoder.decode();
}

function* linesOf(path: string, { keepBlank = false, longestLine = 1 << 20 }: ReadLinesOptions): Generator<string> {
  let seen = false;
  let rest = "";
  const wanted = (line: string): boolean => {
    const blank = line.trim() === "";
    if (!blank) seen = true;
    return keepBlank || !blank;
  };
  for (const chunk of chunksOf(path)) {
    let from = 0;
    for (let end = chunk.indexOf("\n"); end >= 0; end = chunk.indexOf("\n", from)) {
      const line = withoutReturn(rest + chunk.slice(from, end));
      rest = "";
      from = end + 1;
      for (const part of cut(line, longestLine)) if (wanted(part)) yield part;
    }
    rest += chunk.slice(from);
    while (rest.length > longestLine * 2) {
      const at = cutAt(rest, longestLine);
      const part = rest.slice(0, at);
      rest = rest.slice(at);
      if (wanted(part)) yield part;
    }
  }
  if (rest !== "") for (const part of cut(withoutReturn(rest), longestLine)) if (wanted(part)) yield part;
  if (!seen) throw empty(path, "blank lines only");
}

function withoutReturn(line: string): string {
  return line.endsWith("\r") ? line.slice(0, -1) : line;
}

/** Where to cut a line that is too long: not inside a character. */
function cutAt(line: string, longest: number): number {
  const last = line.charCodeAt(longest - 1);
  return longest > 1 && last >= 0xd800 && last <= 0xdbff ? longest - 1 : longest;
}

function* cut(line: string, longest: number): Generator<string> {
  let rest = line;
  while (rest.length > longest) {
    const at = cutAt(rest, longest);
    yield rest.slice(0, at);
    rest = rest.slice(at);
  }
  yield rest;
}
