// One door to the readers of all tasks, for programs that learn the task's name at run time.
import { type ChoiceRow, readChoiceRows } from "./choice-rows.js";
import type { ColumnChoice } from "./columns.js";
import type { OpenRowsOptions } from "./open-rows.js";
import { type QuestionRow, readQuestionRows } from "./question-rows.js";
import { type RankingRow, readRankingRows } from "./ranking-rows.js";
import type { TagScheme } from "./tag-scheme.js";
import { readTextRows, type TextRow } from "./text-rows.js";
import { readTokenRows, type TokenRow } from "./token-rows.js";
import type { RowInput, TypedRows } from "./typed-rows.js";

/** The row of each task. */
export interface TaskRows {
  classification: TextRow;
  "multi-label": TextRow;
  regression: TextRow;
  "token-classification": TokenRow;
  "question-answering": QuestionRow;
  "multiple-choice": ChoiceRow;
  ranking: RankingRow;
  "fill-mask": TextRow;
}

/** Tasks that rows can be read for. */
export type DataTask = keyof TaskRows;

/** All of {@link DataTask}. */
export const dataTasks: readonly DataTask[] = [
  "classification",
  "multi-label",
  "regression",
  "token-classification",
  "question-answering",
  "multiple-choice",
  "ranking",
  "fill-mask",
];

/** Options of {@link readTaskRows}: what any of the readers takes. */
export interface ReadTaskRowsOptions extends OpenRowsOptions {
  columns?: ColumnChoice<string>;
  labelSeparator?: string;
  scheme?: TagScheme;
  tagNames?: readonly string[];
  offsetUnit?: "utf16" | "code-point";
  choiceColumns?: readonly string[];
  labelBase?: 0 | 1;
}

/** Reads rows for a task by its name. Throws what the task's reader throws. */
export async function readTaskRows<Task extends DataTask>(
  task: Task,
  input: RowInput,
  options: ReadTaskRowsOptions = {},
): Promise<TypedRows<TaskRows[Task]>> {
  const readers: { [Name in DataTask]: () => Promise<TypedRows<TaskRows[Name]>> } = {
    classification: () => readTextRows(input, { ...options, labels: "one" }),
    "multi-label": () => readTextRows(input, { ...options, labels: "many" }),
    regression: () => readTextRows(input, { ...options, labels: "number" }),
    "token-classification": () => readTokenRows(input, options),
    "question-answering": () => readQuestionRows(input, options),
    "multiple-choice": () => readChoiceRows(input, options),
    ranking: () => readRankingRows(input, options),
    "fill-mask": () => readTextRows(input, { ...options, labels: "one" }),
  };
  return readers[task]();
}
