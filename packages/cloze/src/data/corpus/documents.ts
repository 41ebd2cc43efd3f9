// The documents of a corpus file, or of a part of a large one, as they are read.
import { isUtf8 } from "node:buffer";
import { closeSync, openSync, readSync } from "node:fs";
import { ClozeError } from "../../errors.js";
import { readDelimited } from "../readers/delimited.js";
import type { DataRow } from "../readers/row.js";
import { readLineBlocks } from "../readers/text-blocks.js";
import { createWarnings, type DataWarnings } from "../readers/warnings.js";
import { type CorpusFile, findCorpusFiles, noText } from "./corpus-files.js";

/** What separates the documents of a text file: each line is one, blank lines stand between them, or a file is one. */
export type DocumentUnit = "line" | "blank" | "file";

export interface ReadDocumentsOptions {
  /** Of text files. Default "line". */
  documents?: DocumentUnit;
  /** The field that holds the text in JSON lines, Parquet, CSV and TSV. Default: `text`, or the only one with strings. */
  textField?: string;
  /** Bytes of a part of a large file. Default 16 MiB. */
  partBytes?: number;
}

/** A part of a file that a worker reads by itself. */
export interface CorpusPart {
  readonly file: CorpusFile;
  /** Which bytes, moved to where documents begin; undefined: the whole file. */
  readonly range?: readonly [start: number, end: number];
  /** The field of a row that holds its text. */
  readonly textField?: string;
}

/** Longer documents are cut, in UTF-16 units: a line may be a whole book, and a broken file one line. */
export const longestDocument = 1 << 20;

const blockBytes = 1 << 20;
const newline = 0x0a;
const fieldNames = ["text", "content", "document", "body", "sentence", "passage", "article"];

/**
 * Cuts files into parts that can be read side by side. They do not depend on how many read them.
 *
 * @throws CORPUS_TEXT_FIELD when the first rows of a file do not show which field holds the text
 */
export async function partsOf(files: readonly CorpusFile[], options: ReadDocumentsOptions = {}): Promise<CorpusPart[]> {
  const parts: CorpusPart[] = [];
  for (const file of files) {
    const textField = file.format === "text" ? undefined : await textFieldOf(file, options.textField);
    parts.push(...cut(file, options).map((part) => ({ ...part, textField })));
  }
  return parts;
}

function cut(file: CorpusFile, { documents = "line", partBytes = 1 << 24 }: ReadDocumentsOptions): CorpusPart[] {
  const whole =
    file.sequential ||
    (file.format !== "text" && file.format !== "jsonl") ||
    (file.format === "text" && documents === "file") ||
    file.bytes <= partBytes;
  if (whole) return [{ file }];
  return Array.from({ length: Math.ceil(file.bytes / partBytes) }, (_, i) => ({
    file,
    range: [i * partBytes, Math.min(file.bytes, (i + 1) * partBytes)] as const,
  }));
}

/** The place of the first document that begins at or after a place. */
function boundary(handle: number, from: number, size: number, blank: boolean): number {
  if (from === 0 || from >= size) return Math.min(from, size);
  const buffer = Buffer.alloc(1 << 16);
  let previous = -1;
  for (let at = from - 1; at < size; ) {
    const count = readSync(handle, buffer, 0, buffer.length, at);
    if (count === 0) break;
    for (let i = 0; i < count; i++) {
      const byte = buffer[i];
      if (byte === 0x0d) continue;
      if (byte === newline && (!blank || previous === newline)) return at + i + 1;
      previous = byte;
    }
    at += count;
  }
  return size;
}

/** The lines of a part of a plain UTF-8 file, without their line breaks. */
function* linesOfRange({ file, range }: CorpusPart, blank: boolean, warnings: DataWarnings): Generator<string> {
  const handle = openSync(file.path, "r");
  try {
    const [start, end] = (range ?? [0, file.bytes]).map((place) => boundary(handle, place, file.bytes, blank));
    let held: Buffer[] = [];
    const decode = function* (pieces: Buffer[]): Generator<string> {
      const bytes = Buffer.concat(pieces);
      const text = bytes.toString("utf8");
      if (!isUtf8(bytes)) {
        warnings.add("DATA_NOT_UTF8", "blocks with bytes that are not UTF-8; they became U+FFFD", file.path);
      }
      let from = text.charCodeAt(0) === 0xfeff ? 1 : 0;
      for (let at = text.indexOf("\n", from); at >= 0; at = text.indexOf("\n", from)) {
        yield text.charCodeAt(at - 1) === 0x0d && at > from ? text.slice(from, at - 1) : text.slice(from, at);
        from = at + 1;
      }
      if (from < text.length) yield text.slice(from);
    };
    let heldBytes = 0;
    // One buffer for all blocks: the collector would come too late for many.
    const buffer = Buffer.alloc(Math.min(blockBytes, Math.max(0, end - start)));
    for (let at = start; at < end; ) {
      const count = readSync(handle, buffer, 0, Math.min(blockBytes, end - at), at);
      if (count === 0) break;
      at += count;
      const block = buffer.subarray(0, count);
      let cut = block.lastIndexOf(newline) + 1;
      // A line without end: given in parts, between characters.
      if (cut === 0 && heldBytes > 4 * longestDocument) {
        while (cut < count && (block[cut] & 0xc0) === 0x80) cut++;
        yield* decode([...held, block.subarray(0, cut)]);
        held = [Buffer.from(block.subarray(cut))];
        heldBytes = count - cut;
        continue;
      }
      if (cut > 0) {
        yield* decode([...held, block.subarray(0, cut)]);
        held = [];
        heldBytes = 0;
      }
      if (cut < count) {
        held.push(Buffer.from(block.subarray(cut)));
        heldBytes += count - cut;
      }
    }
    if (heldBytes > 0) yield* decode(held);
  } finally {
    closeSync(handle);
  }
}

async function* linesOf(part: CorpusPart, blank: boolean, warnings: DataWarnings): AsyncGenerator<Iterable<string>> {
  if (!part.file.sequential) yield linesOfRange(part, blank, warnings);
  else for await (const { lines } of readLineBlocks(part.file.path, warnings)) yield lines;
}

/** Pieces of a document that is too long, cut between characters; a blank one is left out. */
function* checkedDocument(text: string, place: string, warnings: DataWarnings): Generator<string> {
  if (text.length <= longestDocument) {
    if (text.trim() !== "") yield text;
    return;
  }
  warnings.add("CORPUS_LONG_DOCUMENT", `documents of more than ${longestDocument} characters, cut`, place);
  for (let from = 0; from < text.length; ) {
    let to = Math.min(from + longestDocument, text.length);
    const last = text.charCodeAt(to - 1);
    if (to < text.length && last >= 0xd800 && last <= 0xdbff) to--;
    const piece = text.slice(from, to);
    if (piece.trim() !== "") yield piece;
    from = to;
  }
}

async function* documentsOfText(part: CorpusPart, unit: DocumentUnit, warnings: DataWarnings): AsyncGenerator<string> {
  let pending: string[] = [];
  let size = 0;
  const flush = function* (): Generator<string> {
    if (pending.length > 0) yield* checkedDocument(pending.join("\n"), part.file.path, warnings);
    pending = [];
    size = 0;
  };
  for await (const lines of linesOf(part, unit === "blank", warnings)) {
    for (const line of lines) {
      if (unit === "line") {
        yield* checkedDocument(line, part.file.path, warnings);
        continue;
      }
      if (unit === "blank" && line.trim() === "") {
        yield* flush();
        continue;
      }
      pending.push(line);
      size += line.length + 1;
      // A book without a blank line: in pieces, so that memory stays bounded.
      if (size > longestDocument) {
        warnings.add(
          "CORPUS_LONG_DOCUMENT",
          `documents of more than ${longestDocument} characters, cut`,
          part.file.path,
        );
        yield* flush();
      }
    }
  }
  yield* flush();
}

type Row = Pick<DataRow, "values">;

/** The field that holds texts, as the first rows of a file show it. */
async function textFieldOf(file: CorpusFile, wanted: string | undefined): Promise<string> {
  let seen: string[] = [];
  let rows = 0;
  for await (const { values } of rowsOf({ file }, createWarnings())) {
    seen = Object.keys(values).filter((name) => typeof values[name] === "string");
    const found = fieldNames.find((name) => seen.includes(name)) ?? (seen.length === 1 ? seen[0] : undefined);
    if (wanted === undefined ? found !== undefined : seen.includes(wanted)) return wanted ?? (found as string);
    if (++rows === 100) break;
  }
  const received = seen.length === 0 ? "no field of text" : `the fields ${seen.join(", ")}`;
  throw new ClozeError("CORPUS_TEXT_FIELD", `Which field of ${file.path} holds the text is unclear`, {
    expected: wanted === undefined ? `one of ${fieldNames.join(", ")}, or one field only` : JSON.stringify(wanted),
    received: rows === 0 ? "no row" : received,
    remedy: "Name it with --text-field.",
  });
}

async function* documentsOfRows(part: CorpusPart, warnings: DataWarnings): AsyncGenerator<string> {
  const { file, textField = "text" } = part;
  for await (const { values } of rowsOf(part, warnings)) {
    const text = values[textField];
    if (typeof text === "string") yield* checkedDocument(text, file.path, warnings);
    else warnings.add("CORPUS_ROW_WITHOUT_TEXT", "rows without text, left out", file.path);
  }
}

/** Loaded when it is asked for: it is large. */
async function* parquetRows({ file: { path }, textField }: CorpusPart): AsyncGenerator<Row> {
  const { readParquet } = await import("../readers/parquet.js");
  yield* readParquet(path, textField === undefined ? undefined : [textField]);
}

function rowsOf(part: CorpusPart, warnings: DataWarnings): AsyncIterable<Row> {
  const { path, format } = part.file;
  if (format === "parquet") return parquetRows(part);
  if (format === "csv" || format === "tsv") return readDelimited(path, format, {}, warnings);
  return jsonRows(part, warnings);
}

/** JSON objects, one a line; lines that are none are counted and left out: one bad line must not stop a long run. */
async function* jsonRows(part: CorpusPart, warnings: DataWarnings): AsyncGenerator<Row> {
  let bad = 0;
  let good = 0;
  for await (const lines of linesOf(part, false, warnings)) {
    for (const line of lines) {
      if (line.trim() === "") continue;
      try {
        const values: unknown = JSON.parse(line);
        if (values === null || typeof values !== "object" || Array.isArray(values)) throw new Error("no object");
        good++;
        yield { values: values as DataRow["values"] };
      } catch {
        bad++;
        warnings.add("CORPUS_BAD_LINE", "lines that are no JSON object, left out", part.file.path);
      }
    }
  }
  if (bad === 0 || good > 0) return;
  throw new ClozeError("CORPUS_FORMAT", `${part.file.path} holds no JSON lines`, {
    expected: 'an object a line, such as {"text": "…"}',
    received: `${bad} line(s) that are none`,
    remedy: "Name a text file .txt; convert one large JSON array to a line for each object.",
  });
}

/**
 * The documents of a part of a corpus, one by one.
 *
 * @throws CORPUS_FORMAT, and what the readers throw about damaged files
 */
export const readDocuments = (
  part: CorpusPart,
  { documents = "line" }: ReadDocumentsOptions,
  warnings: DataWarnings,
): AsyncGenerator<string> =>
  part.file.format === "text" ? documentsOfText(part, documents, warnings) : documentsOfRows(part, warnings);

/**
 * The documents of a corpus, one by one, for what reads it once.
 *
 * @throws CORPUS_FILE_MISSING, CORPUS_EMPTY when no file holds text, CORPUS_TEXT_FIELD, CORPUS_FORMAT
 */
export async function* corpusDocuments(
  sources: readonly string[],
  options: ReadDocumentsOptions,
  warnings: DataWarnings,
): AsyncGenerator<string> {
  let found = false;
  for (const part of await partsOf(findCorpusFiles(sources, warnings), options)) {
    for await (const text of readDocuments(part, options, warnings)) {
      found = true;
      yield text;
    }
  }
  if (!found) throw noText(sources, "blank lines or rows only");
}

/** Documents of a corpus, as many as there is room for, spread over its parts: for learning words from it. */
export async function sampleDocuments(
  sources: readonly string[],
  options: ReadDocumentsOptions,
  mostCharacters = 1 << 26,
): Promise<string[]> {
  const warnings = createWarnings();
  const parts = await partsOf(findCorpusFiles(sources, warnings), options);
  const texts: string[] = [];
  let left = mostCharacters;
  for (const [i, part] of parts.entries()) {
    let room = left / (parts.length - i);
    for await (const text of readDocuments(part, options, warnings)) {
      texts.push(text);
      room -= text.length;
      left -= text.length;
      if (room <= 0) break;
    }
  }
  return texts;
}
