// Documents and queries of a test collection, one after another, so that a corpus need not fit in memory.

import { basename } from "node:path";
import { findColumn, givenColumn, missingColumn } from "../../data/readers/columns.js";
import { type OpenRowsOptions, openRows, type RowSource } from "../../data/readers/open-rows.js";
import type { DataRow } from "../../data/readers/row.js";
import { placeOf } from "../../data/readers/row.js";
import type { DataWarnings } from "../../data/readers/warnings.js";
import { ClozeError } from "../../errors.js";
import type { JsonObject, JsonValue } from "../../text/index.js";
import { trecId } from "../evaluation/run-file.js";

/** A document. */
export interface CollectionDocument {
  readonly id: string;
  /** Empty where there is none. */
  readonly title: string;
  readonly text: string;
  /** What else its row holds. */
  readonly fields: JsonObject;
  /** Searched by words behind the text, and not shown: questions that it answers, terms that a model adds. */
  readonly expansion?: string;
}

export const idNames = [
  "_id",
  "id",
  "doc_id",
  "docid",
  "docno",
  "pid",
  "document_id",
  "corpus-id",
  "doc-id",
  "passage_id",
  "uid",
];
const queryIdNames = [
  "_id",
  "id",
  "query_id",
  "qid",
  "query-id",
  "topic_id",
  "question_id",
  "claim_id",
  "number",
  "num",
];
const textNames = ["text", "contents", "content", "body", "abstract", "passage", "document", "segment", "paragraph"];
const queryTextNames = ["text", "query", "question", "title", "topic", "claim", "contents", "body"];
const titleNames = ["title", "headline", "heading"];

/** What helps where columns cannot be named: test collections. */
export const rename = "Rename the column.";

/** A value as a text: a number written out, the parts of a list joined; undefined for nothing. */
export function written(value: JsonValue | undefined): string | undefined {
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  if (Array.isArray(value)) return value.flatMap((one) => written(one) ?? []).join(" ");
  return undefined;
}

/** Document or title and text, as encoders and indexes read them: the title, a space, the text. */
export const fullText = ({ title, text }: Pick<CollectionDocument, "title" | "text">): string =>
  title === "" ? text : `${title} ${text}`.trimEnd();

/** The same as words are searched: with what expands it, where there is something. */
export const expandedText = (document: Pick<CollectionDocument, "title" | "text" | "expansion">): string => {
  const { expansion = "" } = document;
  return expansion === "" ? fullText(document) : `${fullText(document)} ${expansion}`;
};

/** Columns of a document's parts that have no usual names; null: there is none. */
export type DocumentColumns = Readonly<Record<string, string | null>>;

const documentParts = { id: idNames, title: titleNames, text: textNames };

/** The column of each part: the one that was named, or one of a usual name. @throws DATA_COLUMN_MISSING */
function documentColumns(path: string, columns: readonly string[], given: DocumentColumns) {
  for (const part of Object.keys(given)) {
    if (Object.hasOwn(documentParts, part)) continue;
    throw new ClozeError("DATA_COLUMN_MISSING", `No column plays the part "${part}" here`, {
      expected: Object.keys(documentParts).join(", "),
      received: part,
    });
  }
  const taken = Object.values(given);
  const find = (part: keyof typeof documentParts, left: readonly string[]): string | undefined => {
    const name = given[part];
    if (name === null) return undefined;
    return name === undefined ? findColumn(left, documentParts[part]) : givenColumn(path, part, name, columns);
  };
  const free = columns.filter((column) => !taken.includes(column));
  const [id, title] = [find("id", free), find("title", free)];
  const text = find(
    "text",
    free.filter((column) => column !== title),
  );
  return { id, title, text };
}

interface Source {
  readonly rows: RowSource;
  readonly columns: readonly string[];
  /** A first line that was read as a row, though it looks like names of columns. */
  readonly suspect?: readonly string[];
}

/** Whether a file's values are all texts. */
const isTable = (path: string): boolean => /\.(tsv|csv|txt)(\.gz|\.zst)?$/i.test(path);

/** Numbers that a table writes as we would; others (1.10, 007, more digits than a number holds) stay the texts that they are. */
function tableValue(value: JsonValue): JsonValue {
  const number = Number(value);
  return typeof value === "string" && Number.isFinite(number) && String(number) === value ? number : value;
}

/** Opens a file whose table, where it is one, has a header. */
async function openHeaded(path: string, options: OpenRowsOptions): Promise<Source> {
  const rows = openRows(path, { ...options, uneven: "fit" });
  return { rows, columns: await rows.columns() };
}

/** Opens a file; a table without a header line (`id TAB text`) gets names by the number of its columns. */
export async function openTable(path: string, names: readonly string[], options: OpenRowsOptions): Promise<Source> {
  const { rows, columns } = await openHeaded(path, options);
  if (findColumn(columns, names) !== undefined || options.header !== undefined) return { rows, columns };
  if (!isTable(path) || columns.length < 2) return { rows, columns };
  const header =
    columns.length === 2
      ? ["_id", "text"]
      : ["_id", "title", "text", ...columns.slice(3).map((_, i) => `field_${i + 4}`)];
  const headless = openRows(path, { ...options, uneven: "fit", header });
  const named = columns.every((name) => /^\p{L}[\p{L}\p{N}_-]*$/u.test(name));
  return { rows: headless, columns: header, suspect: named ? columns : undefined };
}

/** Counts a first line that may have been names of columns. */
function noteHeader({ suspect, columns }: Source, path: string, warnings: DataWarnings): void {
  const message = "first lines that look like names of columns, none of them known, and were read as rows";
  if (suspect !== undefined)
    warnings.add("DATA_HEADER_UNKNOWN", message, `${path} (${suspect.join(", ")} as ${columns.join(", ")})`);
}

export function addAll(warnings: DataWarnings, from: DataWarnings): void {
  for (const { code, message, count, first } of from.list()) warnings.add(code, message, first, count);
}

export function idOf(
  row: DataRow,
  column: string | undefined,
  path: string,
  warnings: DataWarnings,
): string | undefined {
  if (column === undefined) return `${basename(path)}:${row.number}`;
  const value = row.values[column];
  if (typeof value === "number" && !Number.isSafeInteger(value))
    warnings.add(
      "DATA_ID_ROUNDED",
      "ids that are numbers too large to be exact; write them as texts",
      placeOf(path, row),
    );
  const id = written(value)?.trim();
  if (id !== undefined && id !== "") return id;
  warnings.add("DATA_ID_MISSING", "rows without an id; they were left out", placeOf(path, row));
  return undefined;
}

/**
 * The documents of a file: JSON lines `{ _id, title?, text }`, or a table. Numbers as ids are written out; documents
 * without an id are left out, those without a text are kept, both counted. Numbers of a table are numbers among `fields` where
 * they are written as `String` writes them, and else texts. Ids are not checked for repeats.
 *
 * @param options `columns`: those of its parts, where their names are not the usual ones; `numbered`: in a file without a
 * column of ids, the name of the file and the number of the row are the id
 * @throws DATA_COLUMN_MISSING, and what `openRows` throws
 */
export async function* readDocuments(
  path: string,
  warnings: DataWarnings,
  {
    numbered = false,
    columns: given = {},
    ...options
  }: OpenRowsOptions & { numbered?: boolean; columns?: DocumentColumns } = {},
): AsyncGenerator<CollectionDocument> {
  const named = Object.values(given).flatMap((name) => name ?? []);
  const usual = [...idNames, ...textNames, ...titleNames];
  // Who names a column has a header.
  const source = named.length > 0 ? await openHeaded(path, options) : await openTable(path, usual, options);
  noteHeader(source, path, warnings);
  const { rows, columns } = source;
  const found = documentColumns(path, columns, given);
  const { id } = found;
  const inTable = isTable(path);
  let { title, text } = found;
  if (id === undefined && !numbered) throw missingColumn(path, "id", '"_id" or "id"', columns, rename);
  const seen = new Set(columns);
  /** Columns that the first rows do not have: a title that few documents carry. */
  const lookAt = (row: DataRow): void => {
    for (const column of Object.keys(row.values)) {
      if (seen.has(column)) continue;
      seen.add(column);
      if (title === undefined && given.title === undefined && findColumn([column], titleNames) !== undefined)
        title = column;
      else if (text === undefined && given.text === undefined && findColumn([column], textNames) !== undefined)
        text = column;
    }
  };
  if (text === undefined && title === undefined)
    throw missingColumn(path, "text", '"text"', columns, numbered ? undefined : rename);
  for await (const row of rows) {
    const key = idOf(row, id, path, warnings);
    if (key === undefined) continue;
    if (title === undefined || text === undefined) lookAt(row);
    const rest = inTable
      ? Object.fromEntries(Object.entries(row.values).map(([name, value]) => [name, tableValue(value)]))
      : { ...row.values };
    if (id !== undefined) delete rest[id];
    if (title !== undefined) delete rest[title];
    if (text !== undefined) delete rest[text];
    const document = {
      id: key,
      title: (title === undefined ? undefined : written(row.values[title])) ?? "",
      text: (text === undefined ? undefined : written(row.values[text])) ?? "",
      fields: rest,
    };
    if (fullText(document).trim() === "")
      warnings.add("DATA_TEXT_EMPTY", "documents without a text", `${placeOf(path, row)} (${key})`);
    yield document;
  }
  addAll(warnings, rows.warnings);
}

/** Documents with the ids that runs and judgements in TREC's files have: blanks become `_`. */
export async function* withTrecIds(documents: AsyncIterable<CollectionDocument>): AsyncGenerator<CollectionDocument> {
  for await (const document of documents) {
    const id = trecId(document.id);
    yield id === document.id ? document : { ...document, id };
  }
}

/**
 * Queries by id, of a file of any size of which only some are wanted.
 *
 * @param wanted ids that are kept; all unless given
 * @throws DATA_COLUMN_MISSING, and what `openRows` throws
 */
export async function readQueries(
  path: string,
  warnings: DataWarnings,
  wanted?: ReadonlySet<string>,
  options: OpenRowsOptions = {},
): Promise<Map<string, string>> {
  const source = await openTable(path, [...queryIdNames, ...queryTextNames], options);
  noteHeader(source, path, warnings);
  const { rows, columns } = source;
  const id = findColumn(columns, queryIdNames);
  if (id === undefined) throw missingColumn(path, "id", '"_id" or "id"', columns, rename);
  const text = findColumn(
    columns.filter((column) => column !== id),
    queryTextNames,
  );
  if (text === undefined) throw missingColumn(path, "text", '"text"', columns, rename);
  const queries = new Map<string, string>();
  for await (const row of rows) {
    const key = idOf(row, id, path, warnings);
    if (key === undefined || wanted?.has(key) === false) continue;
    const place = `${placeOf(path, row)} (${key})`;
    if (queries.has(key)) warnings.add("DATA_ID_DUPLICATE", "ids that occur again; the last counts", place);
    const query = written(row.values[text]) ?? "";
    if (query.trim() === "") warnings.add("DATA_QUERY_EMPTY", "queries without a text", place);
    queries.set(key, query);
  }
  addAll(warnings, rows.warnings);
  return queries;
}
