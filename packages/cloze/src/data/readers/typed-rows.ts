// What the readers of all tasks share: from rows of columns to rows of a task.
import { ClozeError } from "../../errors.js";
import type { JsonObject, JsonValue } from "../../text/index.js";
import { leaveOut, type OnBadRow } from "./bad-row.js";
import type { ColumnChoice } from "./columns.js";
import { type OpenRowsOptions, openRows, type RowSource } from "./open-rows.js";
import { type DataRow, placeOf } from "./row.js";
import type { DataWarnings } from "./warnings.js";

/** Options of all typed readers. */
export interface TypedRowsOptions<Role extends string> extends OpenRowsOptions {
  /** Which column plays which part; well-known names are found, null says "none". */
  columns?: ColumnChoice<Role>;
}

/** Rows of a task; gone through as often as one likes. */
export interface TypedRows<Row, Role extends string = string> extends AsyncIterable<Row> {
  readonly path: string;
  /** Which column plays which part. */
  readonly columns: Readonly<Partial<Record<Role, string>>>;
  /** What was guessed, for people. */
  readonly guesses: readonly string[];
  /** Counts of the last time the rows were gone through. */
  readonly warnings: DataWarnings;
}

/** A file by its path, or rows from elsewhere. */
export type RowInput = string | RowSource;

/** Opens a path; takes a source as it is. */
export const sourceOf = (input: RowInput, options: OpenRowsOptions): RowSource =>
  typeof input === "string" ? openRows(input, options) : input;

/** Turns a row into a task's; undefined leaves it out (having said why). `place` is for messages. */
export type ConvertRow<Row> = (values: JsonObject, place: string, row: DataRow) => Row | undefined;

/** The rows of a task over a source. */
export function typedRows<Row, Role extends string>(
  source: RowSource,
  parts: Pick<TypedRows<Row, Role>, "columns" | "guesses">,
  onBadRow: OnBadRow | undefined,
  convert: ConvertRow<Row>,
): TypedRows<Row, Role> {
  async function* rows(): AsyncGenerator<Row> {
    for await (const row of source) {
      let typed: Row | undefined;
      try {
        typed = convert(row.values, placeOf(source.path, row), row);
      } catch (error) {
        leaveOut(error, onBadRow, source.warnings, placeOf(source.path, row));
      }
      if (typed !== undefined) yield typed;
    }
  }
  return { ...parts, path: source.path, warnings: source.warnings, [Symbol.asyncIterator]: rows };
}

const shown = (value: JsonValue | undefined): string =>
  value === undefined ? "nothing" : (JSON.stringify(value) ?? "nothing").slice(0, 80);

/** The error for a value that does not fit. */
export const badValue = (place: string, column: string, expected: string, value: JsonValue | undefined): ClozeError =>
  new ClozeError("DATA_VALUE", `${place}: column "${column}" does not fit`, { expected, received: shown(value) });

/** A text; numbers and booleans are written out. @throws DATA_VALUE */
export function textValue(values: JsonObject, column: string, place: string): string {
  const value = values[column];
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  throw badValue(place, column, "a text", value);
}

/** A number; written out ones are read. @throws DATA_VALUE */
export function numberValue(value: JsonValue | undefined, column: string, place: string): number {
  const number = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
  if (typeof number === "number" && Number.isFinite(number)) return number;
  throw badValue(place, column, "a number", value);
}

/** A list of texts: an array, or one that is written as JSON in a text (as CSV must). @throws DATA_VALUE */
export function textList(value: JsonValue | undefined, column: string, place: string): string[] {
  const list = listValue(value);
  if (list?.every((one) => ["string", "number", "boolean"].includes(typeof one))) return list.map(String);
  throw badValue(place, column, "an array of texts", value);
}

/** An array, or one that is written as JSON in a text; undefined for anything else. */
export function listValue(value: JsonValue | undefined): JsonValue[] | undefined {
  if (Array.isArray(value)) return value;
  if (typeof value !== "string" || !value.trimStart().startsWith("[")) return undefined;
  try {
    const parsed: unknown = JSON.parse(value);
    return Array.isArray(parsed) ? parsed : undefined;
  } catch {
    return undefined;
  }
}

/** Whether a value says nothing: absent, null, or (in text formats) an empty field. */
export const isAbsent = (value: JsonValue | undefined): value is null | undefined | "" =>
  value === undefined || value === null || value === "";
