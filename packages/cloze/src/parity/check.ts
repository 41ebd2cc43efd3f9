// How far numbers lie from those of the reference.
import type { Tensor } from "@cloze/tensor";

/** One line of the report. */
export interface Check {
  /** Folder and what was compared: "models/bert/ForMaskedLM gradients". */
  readonly case: string;
  readonly ok: boolean;
  /** The largest difference, scaled as the tolerance is. */
  readonly difference?: number;
  readonly tolerance?: number;
  /** Where the largest difference is, or why the case failed. */
  readonly note?: string;
}

/** Collects differences of one case and keeps the largest. */
export interface Comparison {
  /** |received - expected| / max(1, largest |expected|), at the places listed (default: all). */
  add(what: string, received: ArrayLike<number>, expected: ArrayLike<number>): void;
  /** A difference that was computed elsewhere. */
  addDifference(what: string, difference: number): void;
  /** Something that makes the case fail whatever the numbers. */
  fail(note: string): void;
  finish(): Check;
}

/** Starts a comparison. */
export function compare(name: string, tolerance: number): Comparison {
  let worst = 0;
  let note: string | undefined;
  let failed = false;
  const comparison: Comparison = {
    add(what, received, expected) {
      if (received.length !== expected.length) {
        comparison.fail(`${what}: ${received.length} numbers, expected ${expected.length}`);
        return;
      }
      let scale = 1;
      let largest = 0;
      for (let i = 0; i < expected.length; i++) {
        scale = Math.max(scale, Math.abs(expected[i]));
        const difference = Math.abs(received[i] - expected[i]);
        // NaN compares false with everything, so it must be asked for.
        if (!(difference <= largest)) largest = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference;
      }
      comparison.addDifference(what, largest / scale);
    },
    addDifference(what, difference) {
      if (difference < worst || (difference === worst && note !== undefined)) return;
      worst = difference;
      if (!failed) note = what;
    },
    fail(reason) {
      if (!failed) note = reason;
      failed = true;
    },
    finish: () => ({ case: name, ok: !failed && worst <= tolerance, difference: worst, tolerance, note }),
  };
  return comparison;
}

/** A case that could not be run, with the reason. */
export const failure = (name: string, error: unknown): Check => ({
  case: name,
  ok: false,
  note: error instanceof Error ? error.message : String(error),
});

/** The rows listed of a matrix [rows, width], one after the other. */
export function pickRows(values: ArrayLike<number>, rows: ArrayLike<number>, width: number): Float64Array {
  const picked = new Float64Array(rows.length * width);
  for (let i = 0; i < rows.length; i++) {
    for (let column = 0; column < width; column++) picked[i * width + column] = values[rows[i] * width + column];
  }
  return picked;
}

/** Reads a tensor's numbers and frees it. */
export function numbers(x: Tensor): Float32Array | Int32Array {
  const values = x.toTypedArray() as Float32Array | Int32Array;
  x.dispose();
  return values;
}
