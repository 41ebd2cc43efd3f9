// What is wrong, or worth knowing, about data: counted by kind, with a few examples.

/** How much a finding matters: `error`s make training fail or mean nothing, `warning`s cost quality. */
export type FindingLevel = "error" | "warning" | "note";

/** One kind of finding. */
export interface Finding {
  readonly code: string;
  readonly level: FindingLevel;
  readonly message: string;
  readonly count: number;
  /** Up to three, such as `row 12: "…"`. */
  readonly examples: readonly string[];
}

/** Counts findings by code. */
export interface FindingCounter {
  add(level: FindingLevel, code: string, message: string, example?: string, count?: number): void;
  /** Errors first, then warnings, then notes. */
  list(): Finding[];
}

const levels: readonly FindingLevel[] = ["error", "warning", "note"];

/** An empty count. */
export function createFindings(): FindingCounter {
  const found = new Map<string, { level: FindingLevel; message: string; count: number; examples: string[] }>();
  return {
    add(level, code, message, example, count = 1) {
      const known = found.get(code) ?? { level, message, count: 0, examples: [] };
      known.count += count;
      if (example !== undefined && known.examples.length < 3) known.examples.push(example);
      found.set(code, known);
    },
    list: () =>
      [...found]
        .map(([code, finding]) => ({ code, ...finding }))
        .sort((a, b) => levels.indexOf(a.level) - levels.indexOf(b.level)),
  };
}

/** A summary of lengths. */
export interface LengthSummary {
  readonly least: number;
  readonly median: number;
  readonly mean: number;
  /** 95 % are at most this long. */
  readonly percentile95: number;
  readonly most: number;
}

/** Summarizes lengths; all zero when there are none. */
export function summarizeLengths(lengths: readonly number[]): LengthSummary {
  const sorted = Float64Array.from(lengths).sort();
  // The smallest value that a share of all are at most.
  const at = (share: number): number => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
  const sum = sorted.reduce((total, one) => total + one, 0);
  return {
    least: at(0),
    median: at(0.5),
    mean: sorted.length === 0 ? 0 : sum / sorted.length,
    percentile95: at(0.95),
    most: at(1),
  };
}
