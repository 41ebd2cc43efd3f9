// Rows that embedders learn from, and how files become such rows.
import {
  badValue,
  type ColumnRole,
  isAbsent,
  listValue,
  numberValue,
  type OpenRowsOptions,
  resolveColumns,
  sourceOf,
  type TypedRows,
  textValue,
  typedRows,
} from "../../data/readers/training-rows.js";
import type { JsonObject } from "../../text/index.js";
import type { RowShape } from "../losses/index.js";

/** A row: its texts (the anchor or query first), and what is known about them. */
export interface EmbeddingRow {
  readonly texts: readonly string[];
  /** A score, a class, a teacher's scores or differences, or a teacher's vector. */
  readonly label?: number | string | readonly number[];
  /** The field of its texts, where the embedder has fields. */
  readonly field?: string;
}

/** A text, what answers it, and (optionally) texts that do not. */
export interface TextPair {
  readonly query: string;
  readonly document: string;
  readonly negatives?: readonly string[];
  /** The field of all of them, where the embedder has fields. */
  readonly field?: string;
}

/** A pair as a row. */
export const rowOf = (row: TextPair | EmbeddingRow): EmbeddingRow =>
  "texts" in row
    ? row
    : {
        texts: [row.query, row.document, ...(row.negatives ?? [])],
        ...(row.field === undefined ? {} : { field: row.field }),
      };

type Role = "anchor" | "positive" | "negative" | "text" | "label";

const firstNames = [
  ...["anchor", "query", "question", "sentence1", "text1", "text_a", "sentence_a", "question1", "premise", "claim"],
  ...["first", "source", "title", "sentence", "text"],
];
const secondNames = [
  ...[
    "positive",
    "positives",
    "document",
    "passage",
    "answer",
    "sentence2",
    "text2",
    "text_b",
    "sentence_b",
    "question2",
  ],
  ...["hypothesis", "entailment", "evidence", "second", "target", "translation", "pair", "text_pair", "response"],
];
const negativeNames = [
  ...["negatives", "negative", "hard_negatives", "hard_negative", "contradiction", "neg", "negative_1"],
];
const textNames = ["text", "sentence", "question", "document", "content", "title", "query", "anchor"];
const scoreNames = [
  ...["score", "similarity", "similarity_score", "relatedness", "relatedness_score", "gold_score", "gold", "label"],
];
const classNames = ["label", "labels", "class", "is_duplicate", "gold_label", "category", "intent", "topic"];

const required = (names: readonly string[]): ColumnRole => ({ names, required: true });
const pair = { anchor: required(firstNames), positive: required(secondNames) };

/** Which columns each shape of rows has. */
const shapeColumns: Record<RowShape, Partial<Record<Role, ColumnRole>>> = {
  pair: { ...pair, negative: { names: negativeNames } },
  triplet: { ...pair, negative: required(negativeNames) },
  "scored-pair": { ...pair, label: required(scoreNames) },
  "binary-pair": { ...pair, label: required(classNames.concat(scoreNames)) },
  "class-pair": { ...pair, label: required(classNames) },
  "labelled-text": { text: required(textNames), label: required(classNames) },
  margin: {
    ...pair,
    negative: required(negativeNames),
    label: required(["margins", "margin", "scores", "score", "labels", "label"]),
  },
  vector: {
    text: required(textNames),
    positive: { names: secondNames },
    label: { names: ["vector", "embedding", "teacher", "label"] },
  },
};

/** Columns `negative_1`, `negative_2` … behind the first. */
const numbered = (available: readonly string[], first: string | undefined): string[] =>
  first === undefined ? [] : [first, ...available.filter((name) => name !== first && /^negative[_-]?\d+$/i.test(name))];

const binaryWords: Readonly<Record<string, number>> = { true: 1, false: 0, yes: 1, no: 0, duplicate: 1 };

function labelOf(
  shape: RowShape,
  values: JsonObject,
  column: string | undefined,
  place: string,
): EmbeddingRow["label"] {
  if (column === undefined || isAbsent(values[column])) {
    if (column === undefined) return undefined;
    throw badValue(place, column, "a label", values[column]);
  }
  const value = values[column];
  switch (shape) {
    case "scored-pair":
      return numberValue(value, column, place);
    case "binary-pair": {
      const word = typeof value === "boolean" ? Number(value) : binaryWords[String(value).trim().toLowerCase()];
      const number = word ?? Number(value);
      if (number === 0 || number === 1) return number;
      throw badValue(place, column, "1 (alike) or 0", value);
    }
    case "class-pair":
    case "labelled-text":
      return String(value);
    default: {
      const list = listValue(value) ?? [value];
      return list.map((one) => numberValue(one, column, place));
    }
  }
}

/** Texts of a column: one, or a list. */
const textsOf = (values: JsonObject, column: string, place: string): string[] => {
  const list = listValue(values[column]);
  if (list === undefined) return [textValue(values, column, place)];
  return list.map((one, i) => textValue({ [`${column}[${i}]`]: one }, `${column}[${i}]`, place));
};

/**
 * Rows of a shape from a file: TSV, CSV, JSON lines or Parquet, packed or not. Columns are guessed by well-known names, or
 * named. Several positives in one row become several rows.
 *
 * @throws DATA_COLUMN_MISSING, DATA_VALUE, and what `openRows` throws
 */
export async function readEmbeddingRows(
  path: string,
  shape: RowShape,
  options: OpenRowsOptions & { columns?: Readonly<Record<string, string | null>> } = {},
): Promise<TypedRows<EmbeddingRow[]>> {
  const source = sourceOf(path, options);
  const available = await source.columns();
  const roles = shapeColumns[shape] as Record<Role, ColumnRole>;
  const resolved = resolveColumns<Role>(path, available, roles, options.columns);
  const { anchor, positive, negative, text, label } = resolved.columns;
  const negatives = numbered(available, negative);
  const first = anchor ?? text;
  return typedRows<EmbeddingRow[], Role>(source, resolved, undefined, (values, place) => {
    const wrong = negatives
      .filter((column) => !isAbsent(values[column]))
      .flatMap((column) => textsOf(values, column, place));
    if (shape === "triplet" && wrong.length !== 1)
      throw badValue(place, negatives[0], "one text", values[negatives[0]]);
    const known = labelOf(shape, values, label, place);
    const more = known === undefined ? {} : { label: known };
    const [head] = textsOf(values, first as string, place);
    if (positive === undefined) return [{ texts: [head, ...wrong], ...more }];
    return textsOf(values, positive, place).map((one) => ({ texts: [head, one, ...wrong], ...more }));
  });
}
