// Rankings, and the order in which trec_eval reads them.

/** A document with its score. */
export interface ScoredDocument {
  readonly id: string;
  readonly score: number;
}

/** The documents found for a query, best first, none twice. */
export type Ranking = readonly ScoredDocument[];

/** Rankings by query. */
export type Run = ReadonlyMap<string, Ranking>;

/**
 * trec_eval's order: higher scores first, compared as float32; equal ones by document id, descending. The order in which a
 * run lists its documents, and its ranks, do not matter. A document that is listed twice counts where it scores best.
 */
export function trecOrder(ranking: Ranking): ScoredDocument[] {
  const sorted = [...ranking].sort(
    (a, b) => Math.fround(b.score) - Math.fround(a.score) || Buffer.compare(Buffer.from(b.id), Buffer.from(a.id)),
  );
  const seen = new Set<string>();
  return sorted.filter(({ id }) => !seen.has(id) && seen.add(id) !== undefined);
}
