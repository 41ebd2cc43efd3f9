// Rows from a stream that comes once: standard input.
import { createInterface } from "node:readline";
import type { DataRow, RowSource } from "../data/readers/index.js";
import { createWarnings } from "../data/readers/warnings.js";
import { ClozeError } from "../errors.js";
import type { JsonObject } from "../text/index.js";

/** A source whose rows are kept, so that readers may look at the first ones again, until they are released. */
export interface LineRows extends RowSource {
  /** Rows that are gone through from now on are not kept: the next time is the last. */
  release(): void;
}

function rowOf(line: string, number: number, path: string): DataRow {
  if (!line.trimStart().startsWith("{")) return { values: { text: line }, number, line: number };
  try {
    return { values: JSON.parse(line) as JsonObject, number, line: number };
  } catch (cause) {
    throw new ClozeError("DATA_ROW", `${path}, line ${number}: no JSON`, {
      expected: "an object, or a text that begins with no {",
      received: line.slice(0, 80),
      cause,
    });
  }
}

/** JSON objects, or plain texts, a line each; empty lines are passed over. @throws DATA_ROW, DATA_EMPTY while reading */
export function lineRows(input: NodeJS.ReadableStream, path: string): LineRows {
  const lines = createInterface({ input })[Symbol.asyncIterator]();
  const kept: DataRow[] = [];
  let number = 0;
  let keeping = true;
  async function next(): Promise<DataRow | undefined> {
    for (;;) {
      const { value, done } = await lines.next();
      if (done === true) break;
      number++;
      if (value.trim() === "") continue;
      const row = rowOf(value, number, path);
      if (keeping) kept.push(row);
      return row;
    }
    if (number > 0) return undefined;
    throw new ClozeError("DATA_EMPTY", `${path} is empty`, { expected: "a JSON object, or a text, a line" });
  }
  async function* rows(): AsyncGenerator<DataRow> {
    if (!keeping) {
      // Freed as they go.
      for (let row = kept.shift(); row !== undefined; row = kept.shift()) yield row;
      for (let row = await next(); row !== undefined; row = await next()) yield row;
      return;
    }
    for (let i = 0; ; i++) {
      const row = kept[i] ?? (await next());
      if (row === undefined) return;
      yield row;
    }
  }
  return {
    path,
    warnings: createWarnings(),
    async columns() {
      const names = new Set<string>();
      let seen = 0;
      for await (const { values } of rows()) {
        for (const name of Object.keys(values)) names.add(name);
        if (++seen === 100) break;
      }
      return [...names];
    },
    release() {
      keeping = false;
    },
    [Symbol.asyncIterator]: rows,
  };
}
