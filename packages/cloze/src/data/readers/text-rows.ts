import { ClozeError } from "../../errors.js";
import type { JsonValue } from "../../text/index.js";
import { findColumn, givenColumn, missingColumn, resolveColumns } from "./columns.js";
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

/** A text, or a pair of texts, with what is to be said about it. */
export interface TextRow {
  readonly text: string;
  readonly pair?: string;
  /** A class; a number where numbers are read; all classes where a text may have several. Absent: not labelled. */
  readonly label?: string | number | string[];
  /** Which row of its file, from 1. */
  readonly row: number;
}

/** Parts of {@link readTextRows}. */
export type TextColumn = "text" | "pair" | "label";

/** Options of {@link readTextRows}. */
export interface ReadTextRowsOptions extends TypedRowsOptions<TextColumn> {
  /**
   * What labels are: `one` class, `many` classes, or a `number`. Unless told: `many` where the column's name is a plural
   * (`labels`, `tags`, …), else `one`. An array in JSON is always many.
   */
  labels?: "one" | "many" | "number";
  /** What stands between several classes in a text; unless told, what is found in the first 1,000 rows of `|` `;` `,` and
   * a space. */
  labelSeparator?: string;
}

/** Names of pairs of texts that go together. */
const pairNames: readonly (readonly [string, string])[] = [
  ["sentence1", "sentence2"],
  ["premise", "hypothesis"],
  ["question1", "question2"],
  ["text1", "text2"],
  ["text_a", "text_b"],
  ["sentence_a", "sentence_b"],
  ["text", "text_pair"],
  ["text", "pair"],
  ["query", "document"],
  ["query", "passage"],
  ["question", "sentence"],
  ["question", "passage"],
  ["question", "context"],
  ["claim", "evidence"],
  ["anchor", "positive"],
];

const textNames = [
  "text",
  "sentence",
  "content",
  "review",
  "tweet",
  "utterance",
  "question",
  "comment",
  "body",
  "document",
  "message",
  "dialogue",
  "note",
  "title",
];
const classNames = [
  "label",
  "labels",
  "class",
  "category",
  "gold_label",
  "target",
  "label_ids",
  "label_text",
  "sentiment",
];
const moreClassNames = [
  "intent",
  "topic",
  "emotion",
  "coarse",
  "tags",
  "tag",
  "section",
  "rating",
  "stars",
  "score",
  "y",
];
const numberNames = [
  "score",
  "similarity",
  "similarity_score",
  "relatedness",
  "rating",
  "stars",
  "target",
  "label",
  "y",
];
const plural = /^(?:labels|label_?ids|tags|categories|classes|genres|topics|emotions)$/i;

/** What separates several classes in the first rows; a comma when nothing does. */
async function guessSeparator(values: AsyncIterable<JsonValue | undefined>): Promise<string> {
  const sample: string[] = [];
  let seen = 0;
  for await (const value of values) {
    if (typeof value === "string") sample.push(value.trim());
    if (++seen === 1000) break;
  }
  const mark = ["|", ";", ","].find((one) => sample.some((value) => value.includes(one)));
  if (mark !== undefined) return mark;
  // A space may as well stand inside a class's name: only where most of the parts are classes by themselves too.
  const alone = new Set(sample.filter((value) => !value.includes(" ")));
  const parts = sample.filter((value) => value.includes(" ")).flatMap((value) => value.split(" "));
  return parts.length > 0 && parts.filter((part) => alone.has(part)).length * 2 >= parts.length ? " " : ",";
}

function labelReader(column: string, kind: "one" | "many" | "number", separator: string) {
  return (value: JsonValue | undefined, place: string): string | number | string[] | undefined => {
    if (kind === "many" && value === "") return [];
    if (isAbsent(value)) return undefined;
    if (kind === "number") return numberValue(value, column, place);
    const list = listValue(value);
    if (list !== undefined) return textList(list, column, place);
    if (typeof value === "object") throw badValue(place, column, "a label, or an array of labels", value);
    if (kind === "one") return String(value);
    const parts = String(value)
      .split(separator)
      .map((part) => part.trim());
    return parts.filter((part) => part !== "");
  };
}

/**
 * Texts, or pairs of texts, with labels: for classification (one class or several) and regression.
 *
 * Columns that are not named are found by well-known names: pairs such as sentence1/sentence2, premise/hypothesis,
 * question/context; else text, sentence, review, …; labels under label, class, score, …. A class is a string whatever
 * the file holds (1 and "1" are one class). `guesses` says what was chosen.
 *
 * @throws DATA_COLUMN_MISSING, DATA_VALUE for a value that does not fit, and what `openRows` throws
 * @example
 * const rows = await readTextRows("train.tsv", { columns: { text: "tweet" } });
 * for await (const { text, label } of rows) console.log(label, text);
 */
export async function readTextRows(
  input: RowInput,
  options: ReadTextRowsOptions = {},
): Promise<TypedRows<TextRow, TextColumn>> {
  const source = sourceOf(input, options);
  const { path } = source;
  const available = await source.columns();
  const given = { ...options.columns };
  const guesses: string[] = [];
  if (given.text === null) {
    throw new ClozeError("DATA_COLUMN_MISSING", "A row needs a text", { expected: "a column", received: "null" });
  }
  if (given.text === undefined && given.pair === undefined) {
    const rest = available.filter((column) => column !== given.label);
    for (const names of pairNames) {
      const [text, pair] = names.map((name) => findColumn(rest, [name]));
      if (text === undefined || pair === undefined || text === pair) continue;
      Object.assign(given, { text, pair });
      guesses.push(`text: column "${text}"`, `pair: column "${pair}"`);
      break;
    }
  }
  const labelNames = options.labels === "number" ? numberNames : [...classNames, ...moreClassNames];
  const roles = {
    text: { names: textNames },
    pair: { names: [] },
    label: { names: labelNames },
  };
  const resolved = resolveColumns<TextColumn>(path, available, roles, given);
  const columns = { ...resolved.columns };
  guesses.push(...resolved.guesses);
  if (columns.text === undefined) {
    // Whatever it is called, the only other column is the text.
    const rest = available.filter((column) => column !== columns.label && column !== columns.pair);
    if (rest.length !== 1) throw missingColumn(path, "text", `one of ${textNames.slice(0, 8).join(", ")}`, available);
    columns.text = givenColumn(path, "text", rest[0], available);
    guesses.push(`text: column "${rest[0]}"`);
  }
  const { text, pair, label } = columns;
  let readLabel: ReturnType<typeof labelReader> | undefined;
  if (label !== undefined) {
    const kind = options.labels ?? (options.labelSeparator !== undefined || plural.test(label) ? "many" : "one");
    const labelsOf = async function* () {
      for await (const { values } of source) yield values[label];
    };
    const separator = options.labelSeparator ?? (kind === "many" ? await guessSeparator(labelsOf()) : "");
    if (options.labelSeparator === undefined && kind === "many") {
      guesses.push(`labels: several of a row, parted by ${JSON.stringify(separator)}`);
    }
    readLabel = labelReader(label, kind, separator);
  }
  return typedRows<TextRow, TextColumn>(source, { columns, guesses }, options.onBadRow, (values, place, { number }) => {
    const said = label === undefined ? undefined : readLabel?.(values[label], place);
    return {
      text: textValue(values, text as string, place),
      ...(pair !== undefined && { pair: textValue(values, pair, place) }),
      ...(said !== undefined && { label: said }),
      row: number,
    };
  });
}
