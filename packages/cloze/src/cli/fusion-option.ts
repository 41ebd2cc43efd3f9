// Options of commands that search by words and by vectors.
import { InvalidArgumentError } from "commander";

/** How documents are found. */
export const pipelines = ["bm25", "dense", "hybrid", "splade", "colbert", "term-weights"] as const;

/** Two numbers of at least 0 with a comma between them. */
export function fusionWeights(text: string): [number, number] {
  const numbers = text.split(",").map((one) => (one.trim() === "" ? Number.NaN : Number(one)));
  if (numbers.length === 2 && numbers.every((one) => Number.isFinite(one) && one >= 0)) return [numbers[0], numbers[1]];
  throw new InvalidArgumentError('Two numbers of at least 0 are needed, such as "0.3,0.7".');
}
