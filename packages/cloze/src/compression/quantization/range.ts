// The range that 8-bit codes of activations cover, from samples (arXiv 2306.12929).
import type { InputRange } from "@cloze/tensor";

/**
 * "min-max": a running mean of each batch's extremes (momentum 0.9); "percentile": all but the outermost numbers; "mse": the
 * range whose codes come closest.
 */
export const rangeEstimators = ["min-max", "percentile", "mse"] as const;
export type RangeEstimator = (typeof rangeEstimators)[number];

/** Collects what a matrix takes. */
export interface RangeCollector {
  add(values: Float32Array): void;
  /** @throws nothing; without samples: [-1, 1] */
  range(): InputRange;
}

const momentum = 0.9;
/** Numbers that are kept; more are thinned out evenly. */
const kept = 1 << 16;
/** Share of the numbers that may lie outside on each side. */
const outside = 1e-4;
const steps = 40;

/** Values in the order of their size, without what is no number. */
const sorted = (values: readonly number[]): Float32Array => Float32Array.from(values.filter(Number.isFinite)).sort();

/** Mean square of what 8-bit codes of a range get wrong. */
function error(values: Float32Array, low: number, high: number): number {
  const scale = (high - low) / 255;
  const zero = Math.round(-low / scale);
  let sum = 0;
  for (const value of values) {
    const code = Math.min(255, Math.max(0, Math.round(value / scale) + zero));
    sum += ((code - zero) * scale - value) ** 2;
  }
  return sum;
}

/** Collects samples for one range. */
export function createRangeCollector(estimator: RangeEstimator): RangeCollector {
  let [low, high] = [0, 0];
  let batches = 0;
  let samples: number[] = [];
  // Every so many-th number is kept; the stride doubles whenever there are too many.
  let stride = 1;
  let count = 0;
  return {
    add(values) {
      let [least, most] = [0, 0];
      for (const value of values) {
        if (value < least) least = value;
        if (value > most) most = value;
        if (count++ % stride === 0) samples.push(value);
        if (samples.length >= 2 * kept) {
          samples = samples.filter((_, i) => i % 2 === 0);
          stride *= 2;
        }
      }
      const share = batches === 0 ? 1 : 1 - momentum;
      low += share * (least - low);
      high += share * (most - high);
      batches++;
    },
    range() {
      // The range covers 0, which has an exact code.
      const bounded = (from: number, to: number): InputRange => {
        const [first, last] = [Math.min(0, from), Math.max(0, to)];
        return last > first ? { low: first, high: last } : { low: -1, high: 1 };
      };
      if (estimator === "min-max") return bounded(low, high);
      const all = sorted(samples);
      if (all.length === 0) return bounded(0, 0);
      const at = (share: number): number => all[Math.round(share * (all.length - 1))];
      if (estimator === "percentile") return bounded(at(outside), at(1 - outside));
      const [first, last] = [Math.min(0, all[0]), Math.max(0, all[all.length - 1])];
      if (!(last > first)) return bounded(0, 0);
      let best = { low: first, high: last };
      let least = Number.POSITIVE_INFINITY;
      for (let step = steps; step > 0; step--) {
        const [from, to] = [(first * step) / steps, (last * step) / steps];
        const wrong = error(all, from, to);
        if (wrong < least) {
          least = wrong;
          best = { low: from, high: to };
        }
      }
      return bounded(best.low, best.high);
    },
  };
}
