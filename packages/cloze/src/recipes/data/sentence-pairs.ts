// Pairs of sentences from the data beside the checkout, for recipes of sentence encoders.
import { requiredText } from "./shared-text.js";

/** Two sentences and what stands beside them. */
export interface SentencePair {
  readonly first: string;
  readonly second: string;
  /** A similarity, a class or a flag, as the file has it. */
  readonly value: string;
}

/**
 * The rows of a table in ../shared/data, plain or gzipped, by the names of its columns.
 *
 * @throws RECIPE_DATA when it is not there
 */
export function sharedTable(name: string): Record<string, string>[] {
  const [header, ...lines] = requiredText(name, "sentences").trimEnd().split("\n");
  const names = header.trimEnd().split("\t");
  return lines.map((line) => {
    const fields = line.replace(/\r$/, "").split("\t");
    return Object.fromEntries(names.map((column, i) => [column, fields[i] ?? ""]));
  });
}

/** Pairs of a table whose columns are named. @throws RECIPE_DATA */
export const sharedPairs = (name: string, [first, second, value]: readonly [string, string, string]): SentencePair[] =>
  sharedTable(name).map((row) => ({ first: row[first], second: row[second], value: row[value] }));

const wordsOf = (text: string): Iterable<string> => text.toLowerCase().match(/[\p{L}\p{M}\p{N}]+/gu) ?? [];

/** Share of different words (or other units) that two texts have in common: the likeness that counts words alone. */
export function wordOverlap(
  { first, second }: Pick<SentencePair, "first" | "second">,
  unitsOf: (text: string) => Iterable<string | number> = wordsOf,
): number {
  const [a, b] = [new Set(unitsOf(first)), new Set(unitsOf(second))];
  const shared = [...a].filter((unit) => b.has(unit)).length;
  return shared / Math.max(1, a.size + b.size - shared);
}
