// Options of commands that read labelled data, and what they say about it.
import { type Command, InvalidArgumentError, Option } from "commander";
import {
  type DataFormat,
  type DataWarning,
  dataFormats,
  type ReadTaskRowsOptions,
  type TagScheme,
  tagSchemes,
} from "../data/readers/index.js";
import { type ProgressReporter, warn } from "../training/progress.js";
import { partColumn } from "./arguments.js";

/** What {@link withDataOptions} adds. */
export interface DataOptions {
  format?: DataFormat;
  delimiter?: string;
  quote?: string;
  header?: string[];
  column?: Record<string, string | null>;
  labelSeparator?: string;
  scheme?: TagScheme;
  tagNames?: string[];
  tagColumn?: number;
  choiceColumns?: string[];
  labelBase?: "0" | "1";
  codePoints?: boolean;
}

const escapes: Record<string, string> = { "\\t": "\t", tab: "\t", space: " ", comma: ",", semicolon: ";", pipe: "|" };
/** A mark between fields as it is typed: `tab`, `\\t`, `;`. */
export const mark = (text: string): string => escapes[text] ?? text;
/** A mark around fields; `none` for none. */
export const quoteMark = (text: string): string => (text === "none" ? "" : text);
const names = (text: string): string[] => text.split(",").map((name) => name.trim());

function wholePosition(text: string): number {
  if (/^-?\d+$/.test(text)) return Number(text);
  throw new InvalidArgumentError("A whole number is needed; -1 is the last column.");
}

/** Adds --format, --column, --delimiter, --quote, --header, --label-separator and what single tasks need. */
export const withDataOptions = (command: Command): Command =>
  command
    .addOption(new Option("--format <format>", "of the files, if their names do not tell").choices(dataFormats))
    .option(
      "--column <part=column>",
      "the column that plays a part (text, pair, label, …); may be repeated",
      partColumn,
    )
    .option("--delimiter <mark>", "between fields: a character, tab or space", mark)
    .option("--quote <mark>", "around fields; none if quotes mean nothing", quoteMark)
    .option("--header <names>", "names of the columns of files without a header line: a,b,c", names)
    .option("--label-separator <mark>", "between the labels of a text that may have several", mark)
    .addOption(new Option("--scheme <scheme>", "of tags").choices(tagSchemes))
    .option("--tag-names <names>", "names of tags that are numbers, in order: O,B-PER,…", names)
    .option("--tag-column <number>", "the tag's column in CoNLL files, from 0; -1 is the last", wholePosition)
    .option("--choice-columns <names>", "columns of choices: a,b,c", names)
    .addOption(new Option("--label-base <number>", "what labels of choices count from").choices(["0", "1"]))
    .option("--code-points", "spans count code points, as Python does");

/** The readers' options for a command's. */
export const readOptionsOf = ({
  column: columns,
  labelBase,
  codePoints,
  ...rest
}: DataOptions): ReadTaskRowsOptions => ({
  format: rest.format,
  delimiter: rest.delimiter,
  quote: rest.quote,
  header: rest.header,
  columns,
  labelSeparator: rest.labelSeparator,
  scheme: rest.scheme,
  tagNames: rest.tagNames,
  tagColumn: rest.tagColumn,
  choiceColumns: rest.choiceColumns,
  labelBase: labelBase === "1" ? 1 : 0,
  offsetUnit: codePoints === true ? "code-point" : "utf16",
});

/** Says which columns and formats were guessed. */
export function noteGuesses(progress: ProgressReporter, source: { path: string; guesses: readonly string[] }): void {
  for (const guess of source.guesses) progress.note(`${source.path}: ${guess} (guessed)`);
}

/** A line for each kind of oddity. */
export function noteWarnings(progress: ProgressReporter, warnings: readonly DataWarning[]): void {
  for (const { code, message, count, first } of warnings)
    warn(progress, `${code}: ${count} × ${message} (first: ${first})`);
}
