// What expands documents, from a file: questions that a model such as doc2query wrote for them.
import { findColumn, missingColumn } from "../../data/readers/columns.js";
import type { DataWarnings } from "../../data/readers/warnings.js";
import { addAll, idNames, idOf, openTable, rename, written } from "./texts.js";

const expansionNames = [
  "expansion",
  "expansions",
  "predicted_queries",
  "queries",
  "querygen",
  "questions",
  "terms",
  "text",
  "query",
  "contents",
];

/**
 * Expansions by the ids of documents: JSON lines `{ id, queries: [ … ] }` (or `expansion`, `predicted_queries`, `text`; a text or
 * a list), or a table. Those of the same id are joined.
 *
 * @throws DATA_COLUMN_MISSING, and what `openRows` throws
 */
export async function readExpansions(path: string, warnings: DataWarnings): Promise<Map<string, string>> {
  const { rows, columns } = await openTable(path, [...idNames, ...expansionNames], {});
  const id = findColumn(columns, idNames);
  if (id === undefined) throw missingColumn(path, "id", '"_id" or "id"', columns, rename);
  const text = findColumn(
    columns.filter((column) => column !== id),
    expansionNames,
  );
  if (text === undefined) throw missingColumn(path, "queries", '"queries" or "expansion"', columns, rename);
  const expansions = new Map<string, string>();
  for await (const row of rows) {
    const key = idOf(row, id, path, warnings);
    const expansion = written(row.values[text])?.trim() ?? "";
    if (key === undefined || expansion === "") continue;
    const before = expansions.get(key);
    expansions.set(key, before === undefined ? expansion : `${before} ${expansion}`);
  }
  addAll(warnings, rows.warnings);
  return expansions;
}
