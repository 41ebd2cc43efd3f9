import { ClozeError } from "../../errors.js";
import type { JsonObject } from "../../text/index.js";
import type { OnBadRow } from "./bad-row.js";
import { checkFile, emptyFile } from "./bytes.js";
import { type ConllOptions, readConll } from "./conll.js";
import { type DelimitedOptions, readDelimited } from "./delimited.js";
import { type DataFormat, dataFormats, detectFormat } from "./format.js";
import { readJsonDocument } from "./json-document.js";
import { readJsonLines } from "./json-lines.js";
import { readPlainText } from "./plain-text.js";
import type { DataRow } from "./row.js";
import { createWarnings, type DataWarnings } from "./warnings.js";

/** Options of {@link openRows}. */
export interface OpenRowsOptions extends DelimitedOptions, ConllOptions {
  /** By the name, else by the content, unless told. */
  format?: DataFormat;
  /** What a row does that is malformed, or whose values do not fit: `error` (unless told), or `skip`, which counts a
   * warning. */
  onBadRow?: OnBadRow;
}

/** A data set: gone through as often as one likes, read anew each time. */
export interface RowSource extends AsyncIterable<DataRow> {
  /** The file, or another name for messages. */
  readonly path: string;
  /** Counts of the last time it was gone through. */
  readonly warnings: DataWarnings;
  /** Names of all columns of the first 100 rows, in order of appearance. */
  columns(): Promise<string[]>;
}

async function columnsOf(rows: AsyncIterable<DataRow>): Promise<string[]> {
  const names = new Set<string>();
  let seen = 0;
  for await (const { values } of rows) {
    for (const name of Object.keys(values)) names.add(name);
    if (++seen === 100) break;
  }
  return [...names];
}

async function* readAs(path: string, options: OpenRowsOptions, warnings: DataWarnings): AsyncGenerator<DataRow> {
  const table = [options.delimiter, options.quote, options.header].some((one) => one !== undefined);
  const format = options.format ?? (await detectFormat(path, table));
  switch (format) {
    case "tsv":
    case "csv":
      return yield* readDelimited(path, format, options, warnings);
    case "jsonl":
      return yield* readJsonLines(path, options, warnings);
    case "json":
    case "squad":
      return yield* readJsonDocument(path, warnings, format === "squad");
    case "conll":
      return yield* readConll(path, options, warnings);
    case "text":
      return yield* readPlainText(path, warnings);
    case "parquet":
      // What reads Parquet is large, and most who could read rows never do.
      return yield* (await import("./parquet.js")).readParquet(path);
    default:
      throw new ClozeError("DATA_FORMAT_UNKNOWN", "There is no such format", {
        expected: dataFormats.join(", "),
        received: String(format),
      });
  }
}

/**
 * The rows of a file: TSV, CSV, JSON lines, JSON, SQuAD, CoNLL columns, Parquet or plain text, as they are or packed by gzip or Zstandard.
 *
 * Rows come as they are asked for, so that a file of TSV, CSV, JSON lines, CoNLL (a sentence at a time) or Parquet (a row
 * group at a time) may be larger than memory; JSON that is one value must fit. It is asynchronous because unpacking and
 * Parquet only are. UTF-8, or UTF-16 with a byte-order mark; bytes that are no text and NUL are counted in `warnings`.
 *
 * @throws at once: DATA_FILE_MISSING, DATA_EMPTY, DATA_FILE_READ. While reading: DATA_ROW (a malformed row, with its
 *   line), DATA_COLUMN_DUPLICATE, DATA_FORMAT_UNKNOWN, DATA_COMPRESSION, DATA_TOO_LARGE, DATA_PARQUET, DATA_EMPTY
 * @example
 * for await (const { values, line } of openRows("train.tsv.gz")) console.log(line, values.sentence);
 */
export function openRows(path: string, options: OpenRowsOptions = {}): RowSource {
  checkFile(path);
  const warnings = createWarnings();
  async function* rows(counted: DataWarnings): AsyncGenerator<DataRow> {
    counted.clear();
    let seen = false;
    for await (const row of readAs(path, options, counted)) {
      seen = true;
      yield row;
    }
    if (!seen) throw emptyFile(path, "no row of data");
  }
  return {
    path,
    warnings,
    columns: () => columnsOf(rows(createWarnings())),
    [Symbol.asyncIterator]: () => rows(warnings),
  };
}

/** Rows that are in memory already, as a source. */
export function rowsOf(values: readonly JsonObject[], path = "the rows"): RowSource {
  async function* rows(): AsyncGenerator<DataRow> {
    for (const [i, row] of values.entries()) yield { values: row, number: i + 1 };
  }
  return { path, warnings: createWarnings(), columns: () => columnsOf(rows()), [Symbol.asyncIterator]: rows };
}

/** All rows at once. */
export async function collectRows<Row>(rows: AsyncIterable<Row>): Promise<Row[]> {
  const all: Row[] = [];
  for await (const row of rows) all.push(row);
  return all;
}
