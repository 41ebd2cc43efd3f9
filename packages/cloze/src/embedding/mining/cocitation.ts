// Pairs of documents that somebody cites together: labels of likeness that nobody had to write (arXiv 2401.15713).

/** What each document cites, by its id. */
export type CitationGraph = ReadonlyMap<string, readonly string[]> | Readonly<Record<string, readonly string[]>>;

export interface CocitationOptions {
  /** Documents that must cite both. Default 1. */
  minShared?: number;
  /** Documents that may be in pairs; default: all that are cited. A field's, say: what others cite does not count then. */
  within?: ReadonlySet<string>;
  /** Documents that cite more than so many others are left out, since they are about everything. Default: none are. */
  maxCited?: number;
}

/** Two documents, in the order of their ids, and how many cite both. */
export interface CocitedPair {
  readonly first: string;
  readonly second: string;
  readonly shared: number;
}

/**
 * Pairs that are cited together, those with the most in common first, then by id. What a document cites several times counts
 * once, itself not at all.
 *
 * @example
 * cocitationPairs({ review: ["a", "b"], other: ["b", "a", "c"] }, { minShared: 2 }); // [{ first: "a", second: "b", shared: 2 }]
 */
export function cocitationPairs(
  graph: CitationGraph,
  { minShared = 1, within, maxCited = Number.POSITIVE_INFINITY }: CocitationOptions = {},
): CocitedPair[] {
  const entries: Iterable<readonly [string, readonly string[]]> =
    graph instanceof Map ? graph : Object.entries(graph as Readonly<Record<string, readonly string[]>>);
  const counts = new Map<string, Map<string, number>>();
  for (const [citing, cited] of entries) {
    if (within !== undefined && !within.has(citing)) continue;
    const ids = [...new Set(cited)].filter((id) => id !== citing && (within?.has(id) ?? true)).sort();
    if (ids.length > maxCited) continue;
    ids.forEach((first, i) => {
      const row = counts.get(first) ?? new Map<string, number>();
      counts.set(first, row);
      for (const second of ids.slice(i + 1)) row.set(second, (row.get(second) ?? 0) + 1);
    });
  }
  const order = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
  return [...counts]
    .flatMap(([first, row]) => [...row].map(([second, shared]) => ({ first, second, shared })))
    .filter(({ shared }) => shared >= minShared)
    .sort((a, b) => b.shared - a.shared || order(a.first, b.first) || order(a.second, b.second));
}
