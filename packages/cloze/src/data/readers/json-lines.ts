import { ClozeError } from "../../errors.js";
import type { JsonObject } from "../../text/index.js";
import { leaveOut, type OnBadRow } from "./bad-row.js";
import type { DataRow } from "./row.js";
import { readLineBlocks } from "./text-blocks.js";
import type { DataWarnings } from "./warnings.js";

const kindOf = (value: unknown): string =>
  value === null ? "null" : Array.isArray(value) ? "an array" : `a ${typeof value}`;

/**
 * Checks that a row is an object.
 *
 * @throws DATA_ROW
 */
export function asObject(value: unknown, place: string): JsonObject {
  if (value !== null && typeof value === "object" && !Array.isArray(value)) return value as JsonObject;
  throw new ClozeError("DATA_ROW", `${place}: a row is no JSON object`, {
    expected: 'an object, such as {"text": "…", "label": "…"}',
    received: kindOf(value),
  });
}

/** @throws DATA_ROW */
function parsedLine(text: string, place: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new ClozeError("DATA_ROW", `${place}: no JSON`, {
      expected: "one JSON object a line",
      received: cause instanceof Error ? cause.message : String(cause),
      remedy: "An object over several lines belongs into an array in a file that ends in .json.",
      cause,
    });
  }
  return asObject(value, place);
}

/** Rows of a file with one JSON object a line; blank lines are passed over. */
export async function* readJsonLines(
  path: string,
  { onBadRow }: { onBadRow?: OnBadRow },
  warnings: DataWarnings,
): AsyncGenerator<DataRow> {
  let number = 0;
  for await (const { lines, first } of readLineBlocks(path, warnings)) {
    for (const [i, text] of lines.entries()) {
      if (text.trim() === "") continue;
      const line = first + i;
      const place = `${path}, line ${line}`;
      let values: JsonObject | undefined;
      try {
        values = parsedLine(text, place);
      } catch (error) {
        leaveOut(error, onBadRow, warnings, place);
      }
      number++;
      if (values !== undefined) yield { values, number, line };
    }
  }
}
