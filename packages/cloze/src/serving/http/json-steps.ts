// JSON of answers that may hold hundreds of thousands of items.
import type { Steps } from "../../text/index.js";

/** Items of a list that are written in one step. */
const stepItems = 1024;

function* listSteps(list: readonly unknown[]): Steps<string> {
  const parts: string[] = [];
  if (list.length <= stepItems) {
    for (const item of list) parts.push((yield* jsonSteps(item)) ?? "null");
  } else {
    for (let from = 0; from < list.length; from += stepItems) {
      parts.push(JSON.stringify(list.slice(from, from + stepItems)).slice(1, -1));
      yield;
    }
  }
  return `[${parts.join(",")}]`;
}

/**
 * What JSON.stringify gives for plain values, a long list at a time in steps. Items of a long list are small, those of a short
 * one need not be.
 *
 * @example
 * atOnce(jsonSteps({ tags: ["O"], score: undefined })); // {"tags":["O"]}
 */
export function* jsonSteps(value: unknown): Steps<string | undefined> {
  if (Array.isArray(value)) return yield* listSteps(value);
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const fields: string[] = [];
  for (const [name, field] of Object.entries(value)) {
    const text = yield* jsonSteps(field);
    if (text !== undefined) fields.push(`${JSON.stringify(name)}:${text}`);
  }
  return `{${fields.join(",")}}`;
}
