import type { JsonObject, JsonValue } from "../../text/index.js";
import type { OnBadRow } from "./bad-row.js";
import { missingColumn, type ResolvedColumns, resolveColumns } from "./columns.js";
import type { RowSource } from "./open-rows.js";
import { placeOf } from "./row.js";
import {
  badValue,
  isAbsent,
  listValue,
  numberValue,
  type RowInput,
  sourceOf,
  type TypedRows,
  type TypedRowsOptions,
  textList,
  textValue,
  typedRows,
} from "./typed-rows.js";

/** A query with documents, and how relevant each is. */
export interface RankingRow {
  readonly query: string;
  readonly candidates: string[];
  /** One per candidate; 0 is "not relevant", more is better. Absent: not judged. */
  readonly relevance?: number[];
  /** Which row of its file, from 1; of a grouped file, the query's first. */
  readonly row: number;
}

/** Parts of {@link readRankingRows}. */
export type RankingColumn = "query" | "document" | "candidates" | "relevance" | "positives" | "negatives";

const rankingRoles = {
  query: { names: ["query", "question", "anchor", "claim"], required: true },
  candidates: { names: ["candidates", "documents", "passages", "docs"] },
  positives: { names: ["positives", "positive", "pos", "positive_passages"] },
  negatives: { names: ["negatives", "negative", "neg", "hard_negatives", "negative_passages"] },
  document: { names: ["document", "passage", "doc", "text", "sentence", "answer"] },
  relevance: { names: ["relevance", "relevances", "label", "labels", "score", "scores"] },
} as const;

/** One or several texts; documents may be objects with a text. */
function documents(values: JsonObject, column: string | undefined, place: string): string[] {
  if (column === undefined || isAbsent(values[column])) return [];
  const value = values[column];
  const list = listValue(value);
  if (list === undefined) return [textValue(values, column, place)];
  const texts = list.map((one): JsonValue => {
    const object = one !== null && typeof one === "object" && !Array.isArray(one);
    return object ? [one.title, one.text].filter((part) => typeof part === "string" && part !== "").join(" ") : one;
  });
  return textList(texts, column, place);
}

/** Rows (query, document, relevance) as one row per query, in order of appearance; all are held in memory. */
function grouped(
  source: RowSource,
  resolved: ResolvedColumns<RankingColumn>,
  onBadRow: OnBadRow | undefined,
): TypedRows<RankingRow, RankingColumn> {
  const { query, document, relevance } = resolved.columns as Record<RankingColumn, string>;
  const single = typedRows<{ query: string; document: string; relevance?: number; row: number }, RankingColumn>(
    source,
    resolved,
    onBadRow,
    (values, place, { number }) => ({
      query: textValue(values, query, place),
      document: textValue(values, document, place),
      ...(relevance !== undefined &&
        !isAbsent(values[relevance]) && { relevance: numberValue(values[relevance], relevance, place) }),
      row: number,
    }),
  );
  async function* rows(): AsyncGenerator<RankingRow> {
    const groups = new Map<string, { candidates: string[]; relevance: number[]; row: number }>();
    for await (const one of single) {
      const group = groups.get(one.query) ?? { candidates: [], relevance: [], row: one.row };
      groups.set(one.query, group);
      group.candidates.push(one.document);
      if (one.relevance !== undefined) group.relevance.push(one.relevance);
      if (group.relevance.length !== 0 && group.relevance.length !== group.candidates.length) {
        const expected = "a relevance in all rows of a query, or in none";
        throw badValue(placeOf(source.path, { number: one.row }), relevance, expected, one.relevance);
      }
    }
    for (const [text, { candidates, relevance: judged, row }] of groups) {
      yield { query: text, candidates, ...(judged.length > 0 && { relevance: judged }), row };
    }
  }
  return { ...single, [Symbol.asyncIterator]: rows };
}

/**
 * Queries with documents to rank: rows with lists (`candidates` and `relevance`, or `positives` and `negatives`), or rows
 * (query, document, label) that are grouped by query, for which the file must fit in memory.
 *
 * @throws DATA_COLUMN_MISSING, DATA_VALUE, and what `openRows` throws
 */
export async function readRankingRows(
  input: RowInput,
  options: TypedRowsOptions<RankingColumn> = {},
): Promise<TypedRows<RankingRow, RankingColumn>> {
  const source = sourceOf(input, options);
  const available = await source.columns();
  const resolved = resolveColumns<RankingColumn>(source.path, available, rankingRoles, options.columns);
  const { query, document, candidates, relevance, positives, negatives } = resolved.columns;
  if (candidates === undefined && positives === undefined) {
    if (document !== undefined) return grouped(source, resolved, options.onBadRow);
    throw missingColumn(source.path, "document", '"candidates", "positives" or "document"', available);
  }
  const convert = (values: JsonObject, place: string, row: number): RankingRow => {
    const text = textValue(values, query as string, place);
    if (candidates === undefined) {
      const right = documents(values, positives, place);
      const wrong = documents(values, negatives, place);
      const judged = [...right.map(() => 1), ...wrong.map(() => 0)];
      return { query: text, candidates: [...right, ...wrong], relevance: judged, row };
    }
    const list = documents(values, candidates, place);
    if (relevance === undefined || isAbsent(values[relevance])) return { query: text, candidates: list, row };
    const judged = listValue(values[relevance])?.map((one) => numberValue(one, relevance, place));
    if (judged?.length === list.length) return { query: text, candidates: list, relevance: judged, row };
    throw badValue(place, relevance, `${list.length} numbers, one per candidate`, values[relevance]);
  };
  return typedRows<RankingRow, RankingColumn>(source, resolved, options.onBadRow, (values, place, { number }) =>
    convert(values, place, number),
  );
}
