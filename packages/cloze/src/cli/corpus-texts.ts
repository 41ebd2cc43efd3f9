// Texts of a corpus for commands that read it once, or twice.
import { statSync } from "node:fs";
import type { Command } from "commander";
import { corpusBytes, corpusDocuments } from "../data/corpus/index.js";
import { createWarnings, type DataWarnings } from "../data/readers/warnings.js";
import { readLines } from "../text/index.js";
import { createMeter, type ProgressReporter } from "../training/progress.js";

/** What {@link addTextField} adds. */
export interface TextFieldOptions {
  textField?: string;
}

/** Adds --text-field. */
export const addTextField = (command: Command): Command =>
  command.option(
    "--text-field <name>",
    "the field of JSON lines, Parquet, CSV and TSV that holds the text (default: text)",
  );

/** A pipe is read once, from its start: its format cannot be looked up. */
const isPipe = (source: string): boolean => {
  const stats = statSync(source, { throwIfNoEntry: false });
  return stats !== undefined && !stats.isFile() && !stats.isDirectory();
};

/**
 * A reader of the texts of files, folders and patterns, as pre-training reads them, or of the lines of a pipe; what it has read
 * shows as progress.
 *
 * @param times how often all of them are read: what the progress is a share of
 */
export function corpusTexts(
  sources: readonly string[],
  { textField }: TextFieldOptions,
  progress: ProgressReporter,
  times = 1,
) {
  const files = sources.filter((source) => !isPipe(source));
  const allBytes = files.length === 0 ? Number.POSITIVE_INFINITY : corpusBytes(files) * times;
  let bytes = 0;
  let texts = 0;
  // What is packed becomes more than its file has: it is not done before it is.
  const meter = createMeter("read texts", () => Math.min(0.99, bytes / allBytes));
  /** The texts of one source, one by one; what is wrong with them goes to `warnings`. @throws CORPUS_EMPTY where there is none */
  return async function* textsOf(source: string, warnings: DataWarnings = createWarnings()): AsyncGenerator<string> {
    const found = isPipe(source) ? readLines(source) : corpusDocuments([source], { textField }, warnings);
    for await (const text of found) {
      bytes += Buffer.byteLength(text) + 1;
      if (++texts % 1000 === 0) progress.update(meter.event(texts));
      yield text;
    }
    progress.done();
  };
}
