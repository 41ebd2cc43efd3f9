// How much a figure owes to the samples that happened to be in the test set: resampling with replacement.
import { randomSource } from "../data/random-source.js";
import { ClozeError } from "../errors.js";
import { meanOf } from "./shape.js";

/** A figure of the samples at these places; the same place may stand there more than once. */
export type Statistic = (places: Int32Array) => number;

export interface BootstrapOptions {
  /** Default 1000. */
  resamples?: number;
  /** Share of resamples inside the interval; default 0.95. */
  confidence?: number;
  /** Default 0. The same seed gives the same result. */
  seed?: number;
}

/** A figure and where it would mostly lie on other test sets. */
export interface BootstrapInterval {
  /** On the samples as they are. */
  readonly estimate: number;
  /** Percentiles of the resamples; NaN when none of them defines the figure. */
  readonly low: number;
  readonly high: number;
  /** Resamples whose figure was NaN (only one class drawn, say). They are left out. */
  readonly undefinedResamples: number;
}

/** Second minus first. */
export interface PairedBootstrap extends BootstrapInterval {
  /** Two-sided: how often chance alone would make a difference as large, (count + 1) / (resamples + 1). 1 without samples. */
  readonly pValue: number;
  /** Share of resamples in which the second is better. */
  readonly secondBetter: number;
}

function quantile(sorted: Float64Array, share: number): number {
  if (sorted.length === 0) return Number.NaN;
  const place = share * (sorted.length - 1);
  const below = Math.floor(place);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (place - below) * (sorted[above] - sorted[below]);
}

function resample(
  samples: number,
  statistic: Statistic,
  { resamples = 1000, confidence = 0.95, seed = 0 }: BootstrapOptions,
): { interval: BootstrapInterval; values: Float64Array } {
  const whole = (value: number, least: number): boolean => Number.isInteger(value) && value >= least;
  if (!whole(samples, 0) || !whole(resamples, 1) || !(confidence > 0 && confidence < 1)) {
    throw new ClozeError("METRIC_VALUE", "A bootstrap draws whole numbers of samples", {
      expected: "samples of at least 0, resamples of at least 1, a confidence between 0 and 1",
      received: `${samples} samples, ${resamples} resamples, confidence ${confidence}`,
    });
  }
  const random = randomSource(seed);
  const places = new Int32Array(samples);
  const drawn = Float64Array.from({ length: samples === 0 ? 0 : resamples }, () => {
    for (let i = 0; i < samples; i++) places[i] = Math.floor(random() * samples);
    return statistic(places);
  });
  const values = drawn.filter((value) => !Number.isNaN(value)).sort();
  const tail = (1 - confidence) / 2;
  return {
    values,
    interval: {
      estimate: samples === 0 ? Number.NaN : statistic(Int32Array.from({ length: samples }, (_, i) => i)),
      low: quantile(values, tail),
      high: quantile(values, 1 - tail),
      undefinedResamples: drawn.length - values.length,
    },
  };
}

/**
 * Percentile interval of a figure (Efron 1979).
 *
 * @param samples number of samples in the test set
 * @param statistic the figure of the samples at given places; the array is used again, so copy it to keep it
 * @throws METRIC_VALUE
 *
 * @example
 * bootstrapInterval(labels.length, (places) => f1(pick(labels, places), pick(predictions, places)), { seed: 1 });
 */
export const bootstrapInterval = (
  samples: number,
  statistic: Statistic,
  options: BootstrapOptions = {},
): BootstrapInterval => resample(samples, statistic, options).interval;

/**
 * Paired bootstrap (Koehn 2004): both systems are scored on the same resamples. The p-value compares the difference with the
 * resamples' differences moved to mean 0 (Efron and Tibshirani 1993).
 *
 * @throws METRIC_VALUE
 */
export function pairedBootstrap(
  samples: number,
  first: Statistic,
  second: Statistic,
  options: BootstrapOptions = {},
): PairedBootstrap {
  const { interval, values } = resample(samples, (places) => second(places) - first(places), options);
  const center = meanOf(values.length, (i) => values[i]);
  const asLarge = values.filter((value) => Math.abs(value - center) >= Math.abs(interval.estimate)).length;
  return {
    ...interval,
    pValue: values.length === 0 ? 1 : (asLarge + 1) / (values.length + 1),
    secondBetter: meanOf(values.length, (i) => (values[i] > 0 ? 1 : 0)),
  };
}
