// Columns of tokens, a blank line after each sentence: CoNLL 2002, 2003 and their many cousins.
import { ClozeError } from "../../errors.js";
import { leaveOut, type OnBadRow } from "./bad-row.js";
import type { DataRow } from "./row.js";
import { readLineBlocks } from "./text-blocks.js";
import type { DataWarnings } from "./warnings.js";

/** Which columns count. Negative numbers count from the last. */
export interface ConllOptions {
  /** The token's column; 0, the first. */
  tokenColumn?: number;
  /** The tag's column; -1, the last. */
  tagColumn?: number;
}

const documentMark = "-DOCSTART-";

/**
 * Sentences as rows `{ tokens: string[], tags?: string[], document: number }`. `document` counts the `-DOCSTART-` lines so
 * far (0 where there are none). Columns are parted by tabs if the file's first line has one, else by runs of spaces. With
 * one column there are no tags.
 *
 * @throws DATA_ROW for a line with another number of columns than the first, or without the chosen column
 */
export async function* readConll(
  path: string,
  { tokenColumn = 0, tagColumn = -1, onBadRow }: ConllOptions & { onBadRow?: OnBadRow },
  warnings: DataWarnings,
): AsyncGenerator<DataRow> {
  let split: ((text: string) => string[]) | undefined;
  let width = 0;
  let [number, document, start] = [0, 0, 0];
  let tokens: string[] = [];
  let tags: string[] = [];
  // A sentence with a bad line is left out as a whole.
  let bad = false;
  const take = (): DataRow[] => {
    const values = { tokens, ...(width > 1 && { tags }), document };
    const row = { values, number: ++number, line: start };
    const rows = bad ? [] : [row];
    [tokens, tags, bad] = [[], [], false];
    return rows;
  };
  for await (const { lines, first } of readLineBlocks(path, warnings)) {
    for (const [i, text] of lines.entries()) {
      const line = first + i;
      const mark = text.startsWith(documentMark) && /^\s|^$/.test(text.slice(documentMark.length));
      if (text.trim() === "" || mark) {
        if (tokens.length > 0 || bad) yield* take();
        if (mark) document++;
        continue;
      }
      split ??= text.includes("\t") ? (row) => row.split("\t") : (row) => row.trim().split(/ +/);
      const fields = split(text);
      if (width === 0) {
        width = fields.length;
        checkColumn(tokenColumn, "token", width, path);
        if (width > 1) checkColumn(tagColumn, "tag", width, path);
      }
      if (fields.length !== width) {
        const place = `${path}, line ${line}`;
        const error = new ClozeError("DATA_ROW", `${place} has ${fields.length} columns`, {
          expected: `${width}, as the lines before`,
          received: JSON.stringify(text.slice(0, 80)),
          remedy: "Put the missing column there, or a blank line if a sentence ends here.",
        });
        if (!bad) leaveOut(error, onBadRow, warnings, place);
        bad = true;
        continue;
      }
      if (tokens.length === 0) start = line;
      tokens.push(fields.at(tokenColumn) as string);
      if (width > 1) tags.push(fields.at(tagColumn) as string);
    }
  }
  if (tokens.length > 0 || bad) yield* take();
}

function checkColumn(column: number, what: string, width: number, path: string): void {
  if (Number.isInteger(column) && column >= -width && column < width) return;
  throw new ClozeError("DATA_COLUMN_MISSING", `${path} has no column ${column} for the ${what}`, {
    expected: `0 to ${width - 1}, or -1 to -${width} from the end`,
    received: String(column),
  });
}
