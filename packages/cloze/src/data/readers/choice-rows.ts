import type { JsonObject, JsonValue } from "../../text/index.js";
import { missingColumn, resolveColumns } from "./columns.js";
import {
  badValue,
  isAbsent,
  type RowInput,
  sourceOf,
  type TypedRows,
  type TypedRowsOptions,
  textList,
  textValue,
  typedRows,
} from "./typed-rows.js";

/** A question with answers to choose from. */
export interface ChoiceRow {
  readonly context?: string;
  readonly question?: string;
  readonly choices: string[];
  /** Which choice is right, from 0. Absent: not labelled. */
  readonly label?: number;
  /** Which row of its file, from 1. */
  readonly row: number;
}

/** Parts of {@link readChoiceRows}. */
export type ChoiceColumn = "context" | "question" | "choices" | "label";

/** Options of {@link readChoiceRows}. */
export interface ReadChoiceRowsOptions extends TypedRowsOptions<ChoiceColumn> {
  /** Columns of the choices, where each has its own; found by names such as choice0, ending1, option_a, A unless told. */
  choiceColumns?: readonly string[];
  /** What labels count from; 0 unless told. */
  labelBase?: 0 | 1;
}

const choiceRoles = {
  question: { names: ["question", "goal", "ask", "sentence", "stem"] },
  context: { names: ["context", "premise", "passage", "article", "ctx", "sent1", "story", "text"] },
  choices: { names: ["choices", "options", "endings", "candidates", "answers"] },
  label: { names: ["label", "answer", "answerKey", "answer_key", "correct", "gold", "gold_label"] },
} as const;

const numbered = /^(choice|option|ending|sol|answer|alternative|candidate)[ _-]?([0-9]+|[a-e])$/i;
const letters = ["A", "B", "C", "D", "E"];

/** Columns that hold one choice each, in order. */
function findChoiceColumns(available: readonly string[]): string[] {
  const byStem = new Map<string, string[]>();
  for (const column of available) {
    const stem = numbered.exec(column)?.[1].toLowerCase();
    if (stem !== undefined) byStem.set(stem, [...(byStem.get(stem) ?? []), column]);
  }
  const order = new Intl.Collator("en", { numeric: true });
  const [most = []] = [...byStem.values()].sort((a, b) => b.length - a.length);
  if (most.length > 1) return most.sort(order.compare);
  const named = letters.filter((letter) => available.includes(letter));
  return named.length > 1 ? named : [];
}

/** Which choice a label means: a number, a letter, one of the choices' own names, or the text of a choice. */
function choiceIndex(value: JsonValue, choices: readonly string[], names: readonly string[], base: number): number {
  const said = String(value).trim();
  const byName = names.indexOf(said);
  if (byName >= 0) return byName;
  if (/^-?\d+$/.test(said)) return Number(said) - base;
  if (/^[A-Za-z]$/.test(said)) return said.toUpperCase().charCodeAt(0) - 65;
  return choices.indexOf(said);
}

/**
 * Multiple choice: from rows with an array of choices (`choices`, `options`, …, also `{ text: [], label: [] }`), or with
 * a column per choice. The label may be a number, a letter, or the text of the right choice; -1 and "" say "unknown".
 *
 * @throws DATA_COLUMN_MISSING, DATA_VALUE, and what `openRows` throws
 */
export async function readChoiceRows(
  input: RowInput,
  options: ReadChoiceRowsOptions = {},
): Promise<TypedRows<ChoiceRow, ChoiceColumn>> {
  const { labelBase = 0 } = options;
  const source = sourceOf(input, options);
  const available = await source.columns();
  const separate =
    options.choiceColumns ?? (options.columns?.choices === undefined ? findChoiceColumns(available) : []);
  const rest = available.filter((column) => !separate.includes(column));
  for (const column of separate) {
    if (!available.includes(column)) throw missingColumn(source.path, "choices", JSON.stringify(column), available);
  }
  const { columns, guesses } = resolveColumns<ChoiceColumn>(source.path, rest, choiceRoles, options.columns);
  const { context, question, choices, label } = columns;
  if (separate.length === 0 && choices === undefined) {
    throw missingColumn(source.path, "choices", '"choices", or columns such as choice0, choice1', available);
  }
  const choicesOf = (values: JsonObject, place: string): { list: string[]; names: string[] } => {
    if (separate.length > 0) {
      const filled = separate.filter((column) => !isAbsent(values[column]));
      return { list: filled.map((column) => textValue(values, column, place)), names: [] };
    }
    const column = choices as string;
    const value = values[column];
    if (value === null || typeof value !== "object" || Array.isArray(value)) {
      return { list: textList(value, column, place), names: [] };
    }
    const names = value.label === undefined ? [] : textList(value.label, column, place);
    return { list: textList(value.text, column, place), names };
  };
  const convert = (values: JsonObject, place: string, row: number): ChoiceRow => {
    const { list, names } = choicesOf(values, place);
    const said = label === undefined ? undefined : values[label];
    let index: number | undefined;
    if (label !== undefined && !isAbsent(said) && String(said) !== "-1") {
      index = choiceIndex(said, list, names, labelBase);
      if (index < 0 || index >= list.length) {
        const hint = labelBase === 0 && index === list.length ? " (do labels count from 1? labelBase: 1)" : "";
        throw badValue(place, label, `one of ${list.length} choices, counted from ${labelBase}${hint}`, said);
      }
    }
    return {
      ...(context !== undefined && !isAbsent(values[context]) && { context: textValue(values, context, place) }),
      ...(question !== undefined && !isAbsent(values[question]) && { question: textValue(values, question, place) }),
      choices: list,
      ...(index !== undefined && { label: index }),
      row,
    };
  };
  const said = separate.length > 0 ? [`choices: columns ${separate.join(", ")}`] : [];
  const parts = { columns, guesses: [...guesses, ...said] };
  return typedRows<ChoiceRow, ChoiceColumn>(source, parts, options.onBadRow, (values, place, { number }) =>
    convert(values, place, number),
  );
}
