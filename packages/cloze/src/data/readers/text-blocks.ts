// Text in blocks of whole lines: cut at line breaks while still bytes, so that no character is ever cut.
import { isUtf8 } from "node:buffer";
import { ClozeError } from "../../errors.js";
import { readUtf8 } from "./bytes.js";
import type { DataWarnings } from "./warnings.js";

/** Whole lines of a text. */
export interface TextBlock {
  /** With its line breaks; the last block of a file may lack the last one. */
  readonly text: string;
  /** Number of its first line, from 1. */
  readonly line: number;
}

const longestLine = 1 << 28;
const newline = 0x0a;

const countOf = (text: string, part: string): number => text.split(part).length - 1;

/** Decodes a block; bytes that are no text become U+FFFD and are counted, and so are NUL characters. */
function decode(bytes: Buffer, line: number, path: string, warnings: DataWarnings): string {
  const text = bytes.toString("utf8");
  const lineAt = (position: number): string => `${path}, line ${line + countOf(text.slice(0, position), "\n")}`;
  if (bytes.includes(0)) {
    const message = "NUL characters in the text; they were kept";
    warnings.add("DATA_NUL", message, lineAt(text.indexOf("\0")), countOf(text, "\0"));
  }
  if (isUtf8(bytes)) return text;
  // Some texts hold U+FFFD themselves: a bad line is one whose bytes are bad.
  let [start, bad, first] = [0, 0, 0];
  for (let end = bytes.indexOf(newline); start < bytes.length; end = bytes.indexOf(newline, start)) {
    const stop = end < 0 ? bytes.length : end;
    if (!isUtf8(bytes.subarray(start, stop)) && bad++ === 0) {
      first = countOf(bytes.toString("latin1", 0, start), "\n");
    }
    start = stop + 1;
  }
  const message = "lines that are not UTF-8; their bad bytes became U+FFFD (convert the file: iconv -f … -t UTF-8)";
  warnings.add("DATA_NOT_UTF8", message, `${path}, line ${line + first}`, bad);
  return text;
}

/**
 * The text of a file in blocks of whole lines. Compressed files are unpacked, a byte-order mark is left out.
 *
 * @throws what `readBytes` throws, DATA_TOO_LARGE for a line of more than 256 MiB
 */
export async function* readBlocks(path: string, warnings: DataWarnings): AsyncGenerator<TextBlock> {
  let line = 1;
  let held: Uint8Array[] = [];
  let size = 0;
  const flush = (): TextBlock => {
    const bytes = Buffer.concat(held);
    const text = decode(bytes, line, path, warnings);
    const block = { text, line };
    line += countOf(text, "\n");
    return block;
  };
  for await (const chunk of readUtf8(path)) {
    const cut = chunk.lastIndexOf(newline) + 1;
    if (cut > 0) {
      held.push(chunk.subarray(0, cut));
      yield flush();
      held = [];
      size = 0;
    }
    // A copy: the source may use its buffer again.
    if (cut < chunk.length) held.push(chunk.slice(cut));
    size += chunk.length - cut;
    if (size > longestLine) {
      throw new ClozeError("DATA_TOO_LARGE", `${path}, line ${line} is too long`, {
        expected: "lines of at most 256 MiB",
        received: `more than ${size} bytes without a line break`,
        remedy: "Is this a file of rows? One large JSON value belongs into a file that ends in .json.",
      });
    }
  }
  if (size > 0) yield flush();
}

/** The lines of a file, block by block, without their line breaks (LF or CR LF). `first` is the number of the first. */
export async function* readLineBlocks(
  path: string,
  warnings: DataWarnings,
): AsyncGenerator<{ lines: string[]; first: number }> {
  for await (const { text, line } of readBlocks(path, warnings)) {
    const lines = text.split("\n");
    if (text.endsWith("\n")) lines.pop();
    yield { lines: lines.map((one) => (one.endsWith("\r") ? one.slice(0, -1) : one)), first: line };
  }
}

/** The first `size` characters or so of a file's text; for guessing what it is. */
export async function readHead(path: string, size = 1 << 16): Promise<{ text: string; whole: boolean }> {
  const pieces: Uint8Array[] = [];
  let held = 0;
  for await (const chunk of readUtf8(path)) {
    pieces.push(chunk.slice(0, size - held));
    held += chunk.length;
    if (held > size) return { text: Buffer.concat(pieces).toString("utf8"), whole: false };
    if (held === size) break;
  }
  return { text: Buffer.concat(pieces).toString("utf8"), whole: held < size };
}
