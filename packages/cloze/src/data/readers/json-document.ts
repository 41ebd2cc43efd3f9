// Files that are one JSON value: parsed whole, so they must fit in memory; JSON lines need not.
import { constants } from "node:buffer";
import { ClozeError } from "../../errors.js";
import type { JsonObject, JsonValue } from "../../text/index.js";
import { asObject } from "./json-lines.js";
import type { DataRow } from "./row.js";
import { readBlocks } from "./text-blocks.js";
import type { DataWarnings } from "./warnings.js";

async function parseFile(path: string, warnings: DataWarnings): Promise<JsonValue> {
  const pieces: string[] = [];
  let size = 0;
  for await (const { text } of readBlocks(path, warnings)) {
    pieces.push(text);
    size += text.length;
    if (size > constants.MAX_STRING_LENGTH) {
      throw new ClozeError("DATA_TOO_LARGE", `${path} is too large for one JSON value`, {
        expected: `at most ${constants.MAX_STRING_LENGTH} characters`,
        received: "more",
        remedy: "Write one object a line (.jsonl): that is read row by row.",
      });
    }
  }
  const text = pieces.join("");
  try {
    return JSON.parse(text) as JsonValue;
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    const position = /position (\d+)/.exec(message)?.[1];
    const line = position === undefined ? "" : `, line ${text.slice(0, Number(position)).split("\n").length}`;
    throw new ClozeError("DATA_ROW", `${path}${line}: no JSON`, {
      expected: "one JSON value",
      received: message,
      remedy: "If every line is an object of its own, use format jsonl.",
      cause,
    });
  }
}

const isObjects = (value: JsonValue): value is JsonObject[] =>
  Array.isArray(value) && value.length > 0 && value.every((one) => one !== null && typeof one === "object");

const isSquad = (value: JsonValue): boolean =>
  isObjects(value) && !Array.isArray(value[0]) && Array.isArray(value[0].paragraphs);

/** Rows of SQuAD's schema: one per question, with the names that the `datasets` library gives the columns. */
function* squadRows(articles: JsonValue, path: string): Generator<JsonObject> {
  const list = (value: JsonValue | undefined, where: string): JsonObject[] => {
    if (Array.isArray(value)) return value.map((one, i) => asObject(one, `${path}, ${where}[${i}]`));
    throw new ClozeError("DATA_ROW", `${path}: ${where} is no array`, {
      expected: "data[].paragraphs[].qas[], the schema of SQuAD",
      received: JSON.stringify(value)?.slice(0, 60) ?? "nothing",
    });
  };
  for (const [a, article] of list(articles, "data").entries()) {
    for (const [p, paragraph] of list(article.paragraphs, `data[${a}].paragraphs`).entries()) {
      for (const qa of list(paragraph.qas, `data[${a}].paragraphs[${p}].qas`)) {
        const { id, question, answers, is_impossible: impossible } = qa;
        yield {
          id: id ?? null,
          title: article.title ?? null,
          question: question ?? null,
          context: paragraph.context ?? null,
          answers: answers ?? [],
          ...(impossible !== undefined && { is_impossible: impossible }),
        };
      }
    }
  }
}

/**
 * Rows of a JSON file: an array of objects, an object with one array of objects in it (`{"version": 1, "data": […]}`), or
 * SQuAD's schema.
 *
 * @throws DATA_ROW, DATA_TOO_LARGE
 */
export async function* readJsonDocument(path: string, warnings: DataWarnings, squad: boolean): AsyncGenerator<DataRow> {
  const value = await parseFile(path, warnings);
  const object = value !== null && typeof value === "object" && !Array.isArray(value) ? value : undefined;
  let number = 0;
  if (squad || isSquad(object?.data ?? value)) {
    for (const values of squadRows(object?.data ?? value, path)) yield { values, number: ++number };
    return;
  }
  const arrays = Object.values(object ?? {}).filter(isObjects);
  const rows = Array.isArray(value) ? value : arrays.length === 1 ? arrays[0] : undefined;
  if (rows === undefined) {
    throw new ClozeError("DATA_ROW", `${path} holds no rows`, {
      expected: "an array of objects, or an object with one such array",
      received: object === undefined ? typeof value : `an object with ${Object.keys(object).slice(0, 8).join(", ")}`,
    });
  }
  for (const row of rows) yield { values: asObject(row, `${path}, row ${number + 1}`), number: ++number };
}
