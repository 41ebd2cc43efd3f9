// The layout of BEIR's data sets: documents, queries, and judgements (qrels) in three files.

import { findColumn, missingColumn } from "./columns.js";
import { type OpenRowsOptions, openRows } from "./open-rows.js";
import type { RankingRow } from "./ranking-rows.js";
import { placeOf } from "./row.js";
import { numberValue, type TypedRows, textValue } from "./typed-rows.js";
import { createWarnings, type DataWarnings } from "./warnings.js";

/** Files of {@link readBeir}. */
export interface BeirFiles {
  /** JSON lines `{ _id, title?, text }`. */
  corpus: string;
  /** JSON lines `{ _id, text }`. */
  queries: string;
  /** Columns query-id, corpus-id, score. */
  qrels: string;
}

/** A BEIR data set in memory. */
export interface BeirData {
  /** Document id → title and text, a space between. */
  readonly corpus: ReadonlyMap<string, string>;
  /** Query id → text, of the queries that are judged. */
  readonly queries: ReadonlyMap<string, string>;
  /** Query id → document id → relevance. */
  readonly qrels: ReadonlyMap<string, ReadonlyMap<string, number>>;
  /** Judged documents of each query, as `readRankingRows` would give them. */
  readonly rows: TypedRows<RankingRow>;
}

async function readTexts(path: string, options: OpenRowsOptions, warnings: DataWarnings): Promise<Map<string, string>> {
  const source = openRows(path, options);
  const available = await source.columns();
  const id = findColumn(available, ["_id", "id", "doc_id", "query_id"]);
  const text = findColumn(available, ["text", "contents", "body", "query"]);
  if (id === undefined) throw missingColumn(path, "id", '"_id" or "id"', available);
  if (text === undefined) throw missingColumn(path, "text", '"text"', available);
  const texts = new Map<string, string>();
  for await (const row of source) {
    const place = placeOf(path, row);
    const key = textValue(row.values, id, place);
    const { title } = row.values;
    if (texts.has(key)) warnings.add("DATA_ID_DUPLICATE", "ids that occur again; the last counts", `${place} (${key})`);
    const body = textValue(row.values, text, place);
    texts.set(key, typeof title === "string" && title !== "" ? `${title} ${body}` : body);
  }
  for (const { code, message, count, first } of source.warnings.list()) warnings.add(code, message, first, count);
  return texts;
}

/**
 * Reads a data set in BEIR's layout. Judgements of queries or documents that are not there are counted and left out.
 *
 * @throws DATA_COLUMN_MISSING, DATA_VALUE, and what `openRows` throws
 * @example
 * const { corpus, queries, qrels } = await readBeir({ corpus: "corpus.jsonl", queries: "queries.jsonl", qrels: "test.tsv" });
 */
export async function readBeir(files: BeirFiles, options: OpenRowsOptions = {}): Promise<BeirData> {
  const warnings = createWarnings();
  const corpus = await readTexts(files.corpus, options, warnings);
  const texts = await readTexts(files.queries, options, warnings);
  const source = openRows(files.qrels, options);
  const available = await source.columns();
  const columnOf = (role: string, ...names: string[]): string => {
    const found = findColumn(available, names);
    if (found === undefined) throw missingColumn(files.qrels, role, `"${names[0]}"`, available);
    return found;
  };
  const queryColumn = columnOf("query", "query-id", "qid", "query");
  const documentColumn = columnOf("document", "corpus-id", "doc-id", "docid", "pid", "document");
  const scoreColumn = columnOf("score", "score", "relevance", "label");
  const qrels = new Map<string, Map<string, number>>();
  const first = new Map<string, number>();
  for await (const row of source) {
    const place = placeOf(files.qrels, row);
    const query = textValue(row.values, queryColumn, place);
    const document = textValue(row.values, documentColumn, place);
    const score = numberValue(row.values[scoreColumn], scoreColumn, place);
    if (!texts.has(query) || !corpus.has(document)) {
      const message = "judgements of a query or document that is not there; they were left out";
      warnings.add("DATA_ID_UNKNOWN", message, `${place} (${texts.has(query) ? document : query})`);
      continue;
    }
    if (!first.has(query)) first.set(query, row.number);
    qrels.set(query, (qrels.get(query) ?? new Map<string, number>()).set(document, score));
  }
  const queries = new Map([...qrels.keys()].map((id) => [id, texts.get(id) as string]));
  async function* rows(): AsyncGenerator<RankingRow> {
    for (const [id, judged] of qrels) {
      yield {
        query: queries.get(id) as string,
        candidates: [...judged.keys()].map((document) => corpus.get(document) as string),
        relevance: [...judged.values()],
        row: first.get(id) as number,
      };
    }
  }
  const columns = { query: queryColumn, document: documentColumn, relevance: scoreColumn };
  return {
    corpus,
    queries,
    qrels,
    rows: { path: files.qrels, columns, guesses: [], warnings, [Symbol.asyncIterator]: rows },
  };
}
