import type { JsonObject } from "../../text/index.js";

/** One row of a data set. */
export interface DataRow {
  /** Column → value. Text formats give strings only; JSON and Parquet what they hold. */
  readonly values: JsonObject;
  /** Which row of its file it is, from 1. */
  readonly number: number;
  /** The line of the file where it begins, from 1; formats that have no lines have none. */
  readonly line?: number;
}

/** Where a row stands, for messages: `train.tsv, line 12`, or `train.parquet, row 11`. */
export const placeOf = (path: string, { line, number }: Pick<DataRow, "line" | "number">): string =>
  `${path}, ${line === undefined ? `row ${number}` : `line ${line}`}`;
