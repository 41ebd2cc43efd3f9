// Tables as text: TSV without quoting (a line is a row), and CSV by RFC 4180.
import { pipeline, Readable } from "node:stream";
import { type CsvError, type Info, parse } from "csv-parse";
import { ClozeError } from "../../errors.js";
import { leaveOut, type OnBadRow } from "./bad-row.js";
import type { DataRow } from "./row.js";
import { readBlocks, readHead, readLineBlocks } from "./text-blocks.js";
import { createWarnings, type DataWarnings } from "./warnings.js";

/** How a table is written. */
export interface DelimitedOptions {
  /** What stands between fields; a tab for TSV; for CSV a comma, or what the first line has more of: `;`, tab, `|`. */
  delimiter?: string;
  /** What encloses fields; `"` for CSV, nothing (`""`) for TSV. */
  quote?: string;
  /** Names of the columns of a file that has no header line. */
  header?: readonly string[];
  /** What a line with another number of fields than the header does: `error` (unless told), or `fit`, which counts a
   * warning, leaves fields beyond the header out and missing ones empty. */
  uneven?: "error" | "fit";
}

interface Line {
  readonly fields: string[];
  readonly line: number;
}

/** Whether a field is what a writer of quotes makes of a text with quotes in it. */
const looksQuoted = (field: string): boolean => /^"(?:[^"]|"")*""(?:[^"]|"")*"$/.test(field) && field.length > 4;

async function* plainLines(path: string, delimiter: string, warnings: DataWarnings): AsyncGenerator<Line> {
  let blank: number[] = [];
  for await (const { lines, first } of readLineBlocks(path, warnings)) {
    for (const [i, text] of lines.entries()) {
      if (text.trim() === "" && !text.includes(delimiter)) {
        blank.push(first + i);
        continue;
      }
      // Blank lines at the end are nothing; between rows they are odd.
      for (const line of blank) warnings.add("DATA_BLANK_LINE", "blank lines between rows", `${path}, line ${line}`);
      blank = [];
      if (text.includes('""') && text.split(delimiter).some(looksQuoted)) {
        const message = "rows with fields that look quoted, read as they are (if quotes mean something: --quote '\"')";
        warnings.add("DATA_QUOTES", message, `${path}, line ${first + i}`);
      }
      yield { fields: text.split(delimiter), line: first + i };
    }
  }
}

async function* quotedLines(
  path: string,
  delimiter: string,
  quote: string,
  warnings: DataWarnings,
): AsyncGenerator<Line> {
  const blocks = (async function* () {
    for await (const { text } of readBlocks(path, warnings)) yield text;
  })();
  const options = {
    delimiter,
    quote,
    info: true,
    relax_column_count: true,
    skip_empty_lines: true,
    max_record_size: 1 << 28,
  };
  const parser = pipeline(Readable.from(blocks), parse(options), () => {});
  let line = 1;
  try {
    for await (const { record, info } of parser as AsyncIterable<{ record: string[]; info: Info }>) {
      yield { fields: record, line };
      line = info.lines + 1;
    }
  } catch (cause) {
    if (cause instanceof ClozeError) throw cause;
    const { message, code } = cause as CsvError;
    // The parser reads ahead of the rows it gives: its own word counts.
    const at = /at line (\d+)/.exec(message)?.[1] ?? line;
    throw new ClozeError("DATA_ROW", `${path}, line ${at}: broken quoting`, {
      expected: `fields by RFC 4180: ${quote} around a field, ${quote}${quote} for one inside`,
      received: code === "CSV_MAX_RECORD_SIZE" ? "a quote that is not closed in 256 MiB" : message,
      remedy: 'If quotes mean nothing in this file, read it with quote "" (--quote none).',
      cause,
    });
  }
}

/** The delimiter of a CSV file: what its first line has most of. */
export async function guessDelimiter(path: string): Promise<string> {
  const [first] = (await readHead(path)).text.split("\n", 1);
  const plain = first.replace(/"[^"]*"/g, "");
  const counts = [",", ";", "\t", "|"].map((mark) => [mark, plain.split(mark).length] as const);
  return counts.reduce((best, one) => (one[1] > best[1] ? one : best))[0];
}

/** Whether every record of a file parses with quotes, into as many fields as the first. */
export async function parsesQuoted(path: string, delimiter: string): Promise<boolean> {
  let width: number | undefined;
  try {
    for await (const { fields } of quotedLines(path, delimiter, '"', createWarnings())) {
      width ??= fields.length;
      if (fields.length !== width) return false;
    }
  } catch (error) {
    if (error instanceof ClozeError && error.code === "DATA_ROW") return false;
    throw error;
  }
  return true;
}

/**
 * Whether a table with tabs was written with quotes around fields, as pandas and spreadsheets do where a text holds quotes:
 * all names of its columns are quoted, or some field is with quotes doubled in it, and the whole file parses so.
 */
export async function isQuotedTsv(path: string): Promise<boolean> {
  let quoted: boolean | undefined;
  for await (const { fields } of plainLines(path, "\t", createWarnings())) {
    quoted ??= fields.length > 1 && fields.every((field) => /^".*"$/.test(field));
    if (quoted || fields.some(looksQuoted)) return await parsesQuoted(path, "\t");
  }
  return false;
}

/** Column names from a header line; an unnamed column (pandas writes its index so) is called by its position. */
function headerOf(fields: readonly string[], path: string): string[] {
  const names = fields.map((name, i) => (name.trim() === "" ? `column_${i + 1}` : name.trim()));
  const twice = names.filter((name, i) => names.indexOf(name) !== i);
  if (twice.length > 0) {
    throw new ClozeError("DATA_COLUMN_DUPLICATE", `${path}: two columns have the same name`, {
      expected: "one name per column",
      received: names.join(", ").slice(0, 200),
      remedy: `Rename one of: ${[...new Set(twice)].join(", ")}. A file without a header line needs names (header).`,
    });
  }
  if (names.some((name) => name.includes("\r"))) {
    throw new ClozeError("DATA_ROW", `${path}: lines end in CR only`, {
      expected: "lines that end in LF or CR LF",
      remedy: `Convert it: tr '\\r' '\\n' < ${path}`,
    });
  }
  return names;
}

/**
 * Rows of a table; all values are strings.
 *
 * @throws DATA_ROW for a line with another number of fields than the header, or broken quoting; DATA_COLUMN_DUPLICATE
 */
export async function* readDelimited(
  path: string,
  format: "tsv" | "csv",
  options: DelimitedOptions & { onBadRow?: OnBadRow },
  warnings: DataWarnings,
): AsyncGenerator<DataRow> {
  const { quote = format === "csv" ? '"' : "" } = options;
  const delimiter = options.delimiter ?? (format === "csv" ? await guessDelimiter(path) : "\t");
  const lines = quote === "" ? plainLines(path, delimiter, warnings) : quotedLines(path, delimiter, quote, warnings);
  let names = options.header === undefined ? undefined : headerOf(options.header, path);
  let number = 0;
  for await (const { fields, line } of lines) {
    if (names === undefined) {
      names = headerOf(fields, path);
      continue;
    }
    if (fields.length !== names.length && options.uneven === "fit") {
      const message = "lines with more or fewer fields than the header; what is beyond it was left out";
      warnings.add("DATA_ROW_UNEVEN", message, `${path}, line ${line}`);
    } else if (fields.length !== names.length) {
      const place = `${path}, line ${line}`;
      const error = new ClozeError("DATA_ROW", `${place} has ${fields.length} fields`, {
        expected: `${names.length}: ${names.join(", ").slice(0, 200)}`,
        received: JSON.stringify(fields.join(delimiter).slice(0, 80)),
        remedy: "Is it the delimiter (--delimiter), or the quoting (--quote)?",
      });
      leaveOut(error, options.onBadRow, warnings, place);
      number++;
      continue;
    }
    const named = names;
    yield { values: Object.fromEntries(named.map((name, i) => [name, fields[i] ?? ""])), number: ++number, line };
  }
}
