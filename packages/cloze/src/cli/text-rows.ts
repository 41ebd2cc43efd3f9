// Texts of a file, whatever its form.
import { findColumn } from "../data/readers/columns.js";
import { openRows } from "../data/readers/index.js";
import { ClozeError } from "../errors.js";
import { readLines } from "../text/index.js";

export interface TextRows {
  readonly texts: string[];
  /** What is written back for each text. */
  readonly lines: string[];
}

/** Texts of a file: lines, or a column of rows, which are written back as JSON. @throws DATA_COLUMN_MISSING */
export async function readTexts(path: string, column: string | undefined): Promise<TextRows> {
  if (column === undefined && !/\.(jsonl|json|csv|tsv|parquet)(\.gz|\.zst)?$/i.test(path)) {
    const lines = [...readLines([path], { longestLine: Number.MAX_SAFE_INTEGER })];
    return { texts: lines, lines };
  }
  const source = openRows(path);
  const available = await source.columns();
  const name =
    column ?? findColumn(available, ["text", "sentence", "document", "content", "query", "title", "phrase", "action"]);
  if (name === undefined || !available.includes(name)) {
    throw new ClozeError("DATA_COLUMN_MISSING", `${path} has no column for the text`, {
      expected: column ?? '"text"',
      received: `columns ${available.join(", ")}`,
      remedy: "Name it with --column.",
    });
  }
  const rows: TextRows = { texts: [], lines: [] };
  for await (const { values } of source) {
    rows.texts.push(String(values[name] ?? ""));
    rows.lines.push(JSON.stringify(values));
  }
  return rows;
}
