// Files without columns: a text a line, as corpora and lists of texts are.
import type { DataRow } from "./row.js";
import { readLineBlocks } from "./text-blocks.js";
import type { DataWarnings } from "./warnings.js";

/** Rows `{ text }`, one for each line that is not blank. */
export async function* readPlainText(path: string, warnings: DataWarnings): AsyncGenerator<DataRow> {
  let number = 0;
  for await (const { lines, first } of readLineBlocks(path, warnings)) {
    for (const [i, text] of lines.entries()) {
      if (text.trim() !== "") yield { values: { text }, number: ++number, line: first + i };
    }
  }
}
