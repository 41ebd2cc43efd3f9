// Judgements: TREC's qrels, and BEIR's tables.

import { findColumn } from "../../data/readers/columns.js";
import { openRows } from "../../data/readers/open-rows.js";
import { placeOf } from "../../data/readers/row.js";
import { readLineBlocks } from "../../data/readers/text-blocks.js";
import type { DataWarnings } from "../../data/readers/warnings.js";
import { ClozeError } from "../../errors.js";

/** Query id → document id → grade; above 0 is relevant. */
export type Qrels = ReadonlyMap<string, ReadonlyMap<string, number>>;

const queryNames = ["query-id", "query_id", "qid", "query", "queryid", "topic", "topic_id", "q_id", "claim_id"];
const documentNames = [
  "corpus-id",
  "corpus_id",
  "doc-id",
  "doc_id",
  "docid",
  "pid",
  "docno",
  "document",
  "document_id",
  "passage_id",
  "d_id",
];
const gradeNames = ["score", "relevance", "rel", "label", "grade", "relevancy", "judgment", "judgement"];

interface Columns {
  readonly query: number;
  readonly document: number;
  /** Absent: every pair that is named is relevant. */
  readonly grade?: number;
}

const isNumber = (text: string | undefined): boolean =>
  text !== undefined && text.trim() !== "" && Number.isFinite(Number(text));

/** Where the parts of a line stand, by its header; undefined for a line that is no header. */
function headerColumns(fields: readonly string[]): Columns | undefined {
  const names = fields.map((field) => field.trim());
  const find = (wanted: readonly string[]): number => {
    const found = findColumn(names, wanted);
    return found === undefined ? -1 : names.indexOf(found);
  };
  const [query, document, grade] = [find(queryNames), find(documentNames), find(gradeNames)];
  if (query < 0 || document < 0) return undefined;
  return { query, document, ...(grade >= 0 && { grade }) };
}

/** Where the parts stand in a file without a header: TREC has the iteration as a second column. */
function plainColumns(fields: readonly string[]): Columns {
  if (fields.length === 2) return { query: 0, document: 1 };
  if (fields.length >= 4 && isNumber(fields[3])) return { query: 0, document: 2, grade: 3 };
  return { query: 0, document: 1, grade: 2 };
}

const byTabs = (text: string): string[] => text.split("\t").map((field) => field.trim());
const byBlanks = (text: string): string[] => text.trim().split(/\s+/);

/** Fields of a line of CSV: in quotes where they hold commas or quotes, which then stand twice. */
const byCommas = (text: string): string[] =>
  Array.from(text.matchAll(/(?:^|,)\s*(?:"((?:[^"]|"")*)"[^,]*|([^,]*))/g), ([, quoted, plain]) =>
    (quoted?.replaceAll('""', '"') ?? plain).trim(),
  );

function splitterOf(line: string, path: string): (line: string) => string[] {
  if (line.includes("\t")) {
    // TREC's four columns may be parted by tabs and spaces both.
    const [tabs, blanks] = [byTabs(line), byBlanks(line)];
    return tabs.length < 3 && blanks.length === 4 && isNumber(blanks[3]) ? byBlanks : byTabs;
  }
  if (/\.csv(\.gz|\.zst)?$/i.test(path) || (!/\s/.test(line.trim()) && line.includes(","))) return byCommas;
  return byBlanks;
}

type Pair = readonly [query: string, document: string, grade: string | undefined, place: string];

async function* tablePairs(path: string, warnings: DataWarnings): AsyncGenerator<Pair> {
  let split: ((line: string) => string[]) | undefined;
  let columns: Columns | undefined;
  for await (const { lines, first } of readLineBlocks(path, warnings)) {
    for (const [i, line] of lines.entries()) {
      if (line.trim() === "") continue;
      split ??= splitterOf(line, path);
      const fields = split(line);
      if (columns === undefined) {
        columns = headerColumns(fields);
        if (columns !== undefined) continue;
        columns = plainColumns(fields);
        // A header of names that nobody knows: the grade of its line is no number.
        if (columns.grade !== undefined && !isNumber(fields[columns.grade])) continue;
      }
      const place = `${path}, line ${first + i}`;
      const grade = columns.grade === undefined ? "1" : fields[columns.grade];
      yield [fields[columns.query] ?? "", fields[columns.document] ?? "", grade, place];
    }
  }
}

async function* objectPairs(path: string, warnings: DataWarnings): AsyncGenerator<Pair> {
  const rows = openRows(path);
  const available = await rows.columns();
  const columns = headerColumns(available);
  if (columns === undefined) {
    throw new ClozeError("DATA_COLUMN_MISSING", `${path} holds no judgements`, {
      expected: '"query-id", "corpus-id" and "score"',
      received: `columns ${available.join(", ")}`,
      remedy: "Rename the columns.",
    });
  }
  const { query, document, grade } = columns;
  const text = (value: unknown): string => (value === null || value === undefined ? "" : String(value));
  for await (const row of rows) {
    const value = (column: number) => text(row.values[available[column]]);
    yield [value(query), value(document), grade === undefined ? "1" : value(grade), placeOf(path, row)];
  }
  for (const { code, message, count, first } of rows.warnings.list()) warnings.add(code, message, first, count);
}

/**
 * Reads judgements: three columns with or without a header (BEIR), four without (TREC: query, iteration, document, grade),
 * two (every pair is relevant), or JSON lines; tabs, spaces or commas; plain or packed. Columns with a header stand in any
 * order, and more of them do no harm. Lines whose grade is no number are left out and counted.
 *
 * @throws QRELS_EMPTY when nothing is judged, and what reading a file throws
 */
export async function readQrels(path: string, warnings: DataWarnings): Promise<Map<string, Map<string, number>>> {
  const qrels = new Map<string, Map<string, number>>();
  const objects = /\.(jsonl|json|ndjson|parquet)(\.gz|\.zst)?$/i.test(path);
  for await (const [query, document, written, place] of (objects ? objectPairs : tablePairs)(path, warnings)) {
    if (query === "" || document === "" || !isNumber(written)) {
      warnings.add("QRELS_ROW", "judgements without a query, a document or a grade; they were left out", place);
      continue;
    }
    const judged = qrels.get(query) ?? new Map<string, number>();
    const grade = Number(written);
    if (!Number.isInteger(grade))
      warnings.add(
        "QRELS_FRACTION",
        "grades that are no whole numbers, of which trec_eval would read the whole part",
        place,
      );
    const before = judged.get(document);
    if (before !== undefined && before !== grade)
      warnings.add(
        "QRELS_TWICE",
        "documents judged twice for a query; the higher grade counts",
        `${place} (${query} ${document})`,
      );
    judged.set(document, before === undefined ? grade : Math.max(before, grade));
    qrels.set(query, judged);
  }
  if (qrels.size > 0) return qrels;
  throw new ClozeError("QRELS_EMPTY", `${path} judges nothing`, {
    expected: "lines of query, document and grade",
    received: "none",
    remedy: "Check what was to write it.",
  });
}

/** Judgements as TREC writes them: query, 0, document, grade. */
export function* qrelsLines(qrels: Qrels): Generator<string> {
  for (const [query, judged] of qrels)
    for (const [document, grade] of judged) yield `${query} 0 ${document} ${grade}\n`;
}
