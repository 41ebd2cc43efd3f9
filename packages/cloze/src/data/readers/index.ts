// Labelled data in: files of rows, rows of tasks, what is wrong with them, and how to split them.
export { type BeirData, type BeirFiles, readBeir } from "./beir.js";
export { type CheckDataOptions, type CheckedData, type CheckedRows, checkData, type DataReport } from "./check.js";
export { type ChoiceRow, type ReadChoiceRowsOptions, readChoiceRows } from "./choice-rows.js";
export type { ColumnChoice } from "./columns.js";
export type { Finding, FindingLevel, LengthSummary } from "./findings.js";
export { type DataFormat, dataFormats, detectFormat } from "./format.js";
export { collectRows, type OpenRowsOptions, openRows, type RowSource, rowsOf } from "./open-rows.js";
export { type Answer, type QuestionRow, readQuestionRows } from "./question-rows.js";
export { type RankingRow, readRankingRows } from "./ranking-rows.js";
export type { DataRow } from "./row.js";
export { splitWordSteps, splitWords } from "./span-tags.js";
export { foldRows, type Split, type SplitOptions, splitRows } from "./split.js";
export {
  checkTags,
  convertTags,
  guessTagScheme,
  parseTagSteps,
  parseTags,
  type TagFault,
  type TagScheme,
  type TagSpan,
  tagSchemes,
  writeTags,
} from "./tag-scheme.js";
export { type DataTask, dataTasks, type ReadTaskRowsOptions, readTaskRows, type TaskRows } from "./tasks.js";
export { type ReadTextRowsOptions, readTextRows, type TextRow } from "./text-rows.js";
export { type ReadTokenRowsOptions, readTokenRows, type TokenRow } from "./token-rows.js";
export type { RowInput, TypedRows, TypedRowsOptions } from "./typed-rows.js";
export { createWarnings, type DataWarning, type DataWarnings } from "./warnings.js";
