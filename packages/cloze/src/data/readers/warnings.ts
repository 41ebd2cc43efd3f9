// What is odd about data but stops nothing: counted by kind, with the first place, so that a million rows print one line.

/** One kind of oddity. */
export interface DataWarning {
  readonly code: string;
  /** What it is, and what was done about it. */
  readonly message: string;
  readonly count: number;
  /** Where it was met first, such as `train.tsv, line 12`. */
  readonly first: string;
}

/** Counts warnings by code. */
export interface DataWarnings {
  /** @param count how often at once; 1 unless told */
  add(code: string, message: string, place: string, count?: number): void;
  list(): DataWarning[];
  clear(): void;
}

/** An empty count. */
export function createWarnings(): DataWarnings {
  const found = new Map<string, { message: string; first: string; count: number }>();
  return {
    add(code, message, place, count = 1) {
      const known = found.get(code);
      if (known === undefined) found.set(code, { message, first: place, count });
      else known.count += count;
    },
    list: () => [...found].map(([code, { message, first, count }]) => ({ code, message, count, first })),
    clear: () => found.clear(),
  };
}
