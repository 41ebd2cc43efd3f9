// Pairs of texts with a number that says how alike they are.
import { findColumn, missingColumn } from "./columns.js";
import { guessDelimiter, isQuotedTsv, parsesQuoted } from "./delimited.js";
import { detectFormat } from "./format.js";
import { collectRows, type OpenRowsOptions, openRows, type RowSource } from "./open-rows.js";
import { type DataRow, placeOf } from "./row.js";
import type { DataWarnings } from "./warnings.js";

/** Two texts and how alike people find them. */
export interface SimilarityRow {
  readonly first: string;
  readonly second: string;
  readonly score: number;
}

/** Which column plays which part; well-known names are found. */
export interface SimilarityColumns {
  first?: string;
  second?: string;
  score?: string;
}

const pairNames: readonly (readonly [string, string])[] = [
  ["sentence1", "sentence2"],
  ["text_a", "text_b"],
  ["text1", "text2"],
  ["sentence_a", "sentence_b"],
  ["sent1", "sent2"],
  ["sentence_1", "sentence_2"],
  ["s1", "s2"],
  ["text", "text_pair"],
  ["text", "pair"],
  ["premise", "hypothesis"],
  ["question1", "question2"],
  ["query", "document"],
  ["first", "second"],
  ["a", "b"],
];
const scoreNames = [
  "score",
  "similarity",
  "similarity_score",
  "relatedness",
  "relatedness_score",
  "gold_score",
  "gold",
  "label",
  "rating",
  "sim",
  "target",
  "y",
];

const isNumber = (value: unknown): boolean =>
  (typeof value === "number" && Number.isFinite(value)) ||
  (typeof value === "string" && value.trim() !== "" && Number.isFinite(Number(value)));

const textOf = (value: unknown): string | undefined =>
  typeof value === "string"
    ? value
    : typeof value === "number" || typeof value === "boolean"
      ? String(value)
      : undefined;

/** The columns of a table without a header, by what they hold: the two of the longest texts, and one of fractions. */
function guessPlaces(rows: readonly DataRow[], columns: readonly string[]): Required<SimilarityColumns> | undefined {
  const values = columns.map((column) => rows.map(({ values: one }) => one[column]));
  const length = values.map(
    (list) =>
      list.reduce<number>((sum, value) => sum + (isNumber(value) ? 0 : (textOf(value)?.length ?? 0)), 0) / list.length,
  );
  const texts = columns.map((_, i) => i).sort((a, b) => length[b] - length[a]);
  const [first, second] = texts.slice(0, 2).sort((a, b) => a - b);
  const numbers = columns.map((_, i) => i).filter((i) => values[i].every(isNumber) && i !== first && i !== second);
  // A column of fractions is a score; one of whole numbers may be a year or a line.
  const score = numbers.find((i) => values[i].some((value) => !Number.isInteger(Number(value)))) ?? numbers.at(-1);
  if (first === undefined || second === undefined || score === undefined || length[second] === 0) return undefined;
  return { first: columns[first], second: columns[second], score: columns[score] };
}

/** The parts by their names; undefined where a name is missing. */
function namedColumns(available: readonly string[], given: SimilarityColumns): Partial<Required<SimilarityColumns>> {
  const pair = pairNames
    .map((names) => names.map((name) => findColumn(available, [name])))
    .find(([a, b]) => a !== undefined && b !== undefined && a !== b);
  const first = given.first ?? pair?.[0];
  const second = given.second ?? pair?.[1];
  const score =
    given.score ??
    findColumn(
      available.filter((column) => column !== first && column !== second),
      scoreNames,
    );
  return { first, second, score };
}

/**
 * Whether quotes mean something in a table, which its name does not tell: pandas quotes in TSV, and the STS benchmark's own
 * files are called CSV and hold tabs and bare quotes.
 */
async function withQuoting(path: string, options: OpenRowsOptions): Promise<OpenRowsOptions> {
  if (options.quote !== undefined || options.delimiter !== undefined) return options;
  const format = options.format ?? (await detectFormat(path));
  if (format === "tsv" && (await isQuotedTsv(path))) return { ...options, quote: '"' };
  if (format !== "csv" || (await guessDelimiter(path)) !== "\t" || (await parsesQuoted(path, "\t"))) return options;
  return { ...options, format: "tsv" };
}

async function openPairs(path: string, options: OpenRowsOptions, given: SimilarityColumns) {
  const relaxed: OpenRowsOptions = { ...(await withQuoting(path, options)), uneven: "fit" };
  let source: RowSource = openRows(path, relaxed);
  let available = await source.columns();
  const named = namedColumns(available, given);
  let { first, second, score } = named;
  const head: DataRow[] = [];
  if (first === undefined || second === undefined || score === undefined) {
    for await (const row of source) if (head.push(row) === 50) break;
    const noHeader = available.some(isNumber) || first === undefined;
    const table = head[0] !== undefined && Object.values(head[0].values).every((value) => typeof value === "string");
    if (noHeader && table && options.header === undefined && available.length >= 3) {
      const header = available.map((_, i) => `column_${i + 1}`);
      const plain = openRows(path, { ...relaxed, header });
      const guess = available.some(isNumber) ? guessPlaces(await collectRows(firstOf(plain, 50)), header) : undefined;
      if (guess !== undefined) {
        source = plain;
        available = header;
        ({ first, second, score } = guess);
      }
    }
    if (first === undefined || second === undefined || score === undefined) {
      const guess = guessPlaces(head, available);
      first ??= guess?.first;
      second ??= guess?.second;
      score ??= guess?.score;
    }
  }
  for (const [role, column, expected] of [
    ["first text", first, '"sentence1"'],
    ["second text", second, '"sentence2"'],
    ["score", score, '"score"'],
  ] as const) {
    if (column === undefined || !available.includes(column))
      throw missingColumn(
        path,
        role,
        column ?? expected,
        available,
        "Name it: columns { first, second, score } (--first, --second, --score).",
      );
  }
  return { source, first, second, score } as { source: RowSource } & Required<SimilarityColumns>;
}

async function* firstOf<T>(rows: AsyncIterable<T>, count: number): AsyncGenerator<T> {
  let seen = 0;
  for await (const row of rows) {
    yield row;
    if (++seen === count) return;
  }
}

/**
 * Reads pairs of texts with scores: TSV, CSV, JSON lines or Parquet, packed or not, with columns such as
 * sentence1/sentence2/score or text_a/text_b/similarity, or (a table whose first line holds a number) without a header.
 * Rows without a text or a number are left out and counted.
 *
 * @throws DATA_COLUMN_MISSING, and what `openRows` throws
 */
export async function readSimilarityRows(
  path: string,
  warnings: DataWarnings,
  { columns = {}, ...options }: OpenRowsOptions & { columns?: SimilarityColumns } = {},
): Promise<{ rows: SimilarityRow[]; columns: Required<SimilarityColumns> }> {
  const { source, ...found } = await openPairs(path, options, columns);
  const rows: SimilarityRow[] = [];
  for await (const row of source) {
    const [first, second] = [textOf(row.values[found.first]), textOf(row.values[found.second])];
    const value = row.values[found.score];
    if (first === undefined || second === undefined || !isNumber(value)) {
      warnings.add(
        "DATA_ROW_SKIPPED",
        "pairs without a text or without a number; they were left out",
        placeOf(path, row),
      );
      continue;
    }
    if (first.trim() === "" || second.trim() === "")
      warnings.add("DATA_TEXT_EMPTY", "pairs with an empty text", placeOf(path, row));
    rows.push({ first, second, score: Number(value) });
  }
  for (const { code, message, count, first } of source.warnings.list()) warnings.add(code, message, first, count);
  return { rows, columns: found };
}
