// Texts against references: what BLEU, chrF and TER share.
import { ClozeError } from "../errors.js";
import { checkLengths } from "./shape.js";

/** The right text, or several of them. */
export type References = string | readonly string[];

/** The references of every text as lists. @throws METRIC_SHAPE, METRIC_VALUE for a text without a reference */
export function referenceLists(
  hypotheses: readonly string[],
  references: readonly References[],
): (readonly string[])[] {
  checkLengths("texts and their references", hypotheses, references);
  return references.map((given, i) => {
    if (typeof given === "string") return [given];
    if (given.length === 0) {
      throw new ClozeError("METRIC_VALUE", "A text is compared with nothing", {
        expected: "at least one reference",
        received: `none for text ${i}`,
      });
    }
    return given;
  });
}

/** How often each of the n-grams of one order occurs. @param separator stands between units in a key, and in no unit */
export function countNgrams(units: readonly string[], order: number, separator: string): Map<string, number> {
  const counts = new Map<string, number>();
  for (let i = 0; i + order <= units.length; i++) {
    const ngram = units.slice(i, i + order).join(separator);
    counts.set(ngram, (counts.get(ngram) ?? 0) + 1);
  }
  return counts;
}

/** Size of the intersection of two bags. */
export function countCommon(first: ReadonlyMap<string, number>, second: ReadonlyMap<string, number>): number {
  let common = 0;
  for (const [ngram, count] of first) common += Math.min(count, second.get(ngram) ?? 0);
  return common;
}
