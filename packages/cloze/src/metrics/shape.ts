// Checks that every metric makes of what it is given.
import { ClozeError } from "../errors.js";

/** One row of numbers per sample. */
export type Rows = readonly ArrayLike<number>[];

interface Counted {
  readonly length: number;
}

/** @throws METRIC_SHAPE when the two lengths differ */
export function checkLengths(what: string, first: Counted, second: Counted): void {
  if (first.length === second.length) return;
  throw new ClozeError("METRIC_SHAPE", `The metric compares ${what} one by one`, {
    expected: `as many of both (${first.length})`,
    received: String(second.length),
  });
}

/** @throws METRIC_SHAPE when the numbers of rows differ, or the lengths of any two rows that belong together */
export function checkRows(what: string, first: readonly Counted[], second: readonly Counted[]): void {
  checkLengths(what, first, second);
  first.forEach((row, i) => {
    if (row.length === second[i].length) return;
    throw new ClozeError("METRIC_SHAPE", `The metric compares ${what} row by row`, {
      expected: `${row.length} in row ${i}`,
      received: String(second[i].length),
    });
  });
}

/** Two matrices of the same shape whose rows are all equally long. @returns the width, 0 without rows @throws METRIC_SHAPE */
export function checkMatrices(what: string, first: Rows, second: Rows): number {
  checkRows(what, first, second);
  const width = first.length > 0 ? first[0].length : 0;
  const odd = first.findIndex((row) => row.length !== width);
  if (odd >= 0) {
    throw new ClozeError("METRIC_SHAPE", `All rows of ${what} have one width`, {
      expected: String(width),
      received: `${first[odd].length} in row ${odd}`,
    });
  }
  return width;
}

/** @throws METRIC_VALUE naming the first value that is not what it should be */
export function checkValues(what: string, values: ArrayLike<number>, allowed: (value: number) => boolean): void {
  for (let i = 0; i < values.length; i++) {
    if (!allowed(values[i])) {
      throw new ClozeError("METRIC_VALUE", "The metric was given a value that it is not defined for", {
        expected: what,
        received: `${values[i]} at position ${i}`,
      });
    }
  }
}

/** @throws METRIC_VALUE when a label is neither 0 nor 1 */
export const checkBinary = (labels: ArrayLike<number>): void =>
  checkValues("labels 0 or 1", labels, (label) => label === 0 || label === 1);

/** @throws METRIC_VALUE when a score is NaN, which no order holds */
export const checkScores = (scores: ArrayLike<number>): void =>
  checkValues("scores that are numbers", scores, (score) => !Number.isNaN(score));

/** @throws METRIC_VALUE when a cutoff is no positive whole number; leaving it out means no cutoff */
export function checkCutoff(cutoff: number): void {
  if (cutoff === Number.POSITIVE_INFINITY || (Number.isInteger(cutoff) && cutoff > 0)) return;
  throw new ClozeError("METRIC_VALUE", "A ranking is cut after a number of answers", {
    expected: "a positive whole number",
    received: String(cutoff),
  });
}

/** Sum of `term(0)` … `term(count - 1)`. */
export function sumOf(count: number, term: (i: number) => number): number {
  let sum = 0;
  for (let i = 0; i < count; i++) sum += term(i);
  return sum;
}

/** Mean of `term(0)` … `term(count - 1)`; NaN of nothing. */
export const meanOf = (count: number, term: (i: number) => number): number => sumOf(count, term) / count;
