// One figure over repeated runs.
import { meanOf, sumOf } from "./shape.js";

/** A figure over runs that differ in their seed. */
export interface SeedSummary {
  readonly runs: number;
  readonly mean: number;
  /** Of the sample (division by runs - 1); NaN with fewer than two runs. */
  readonly standardDeviation: number;
  readonly lowest: number;
  readonly highest: number;
}

/** Mean and standard deviation of a figure over seeds; NaN of no runs. */
export function summarizeSeeds(values: ArrayLike<number>): SeedSummary {
  const runs = values.length;
  const mean = meanOf(runs, (i) => values[i]);
  const squares = sumOf(runs, (i) => (values[i] - mean) ** 2);
  const all = Array.from(values);
  return {
    runs,
    mean,
    standardDeviation: runs < 2 ? Number.NaN : Math.sqrt(squares / (runs - 1)),
    lowest: runs === 0 ? Number.NaN : all.reduce((a, b) => Math.min(a, b)),
    highest: runs === 0 ? Number.NaN : all.reduce((a, b) => Math.max(a, b)),
  };
}
