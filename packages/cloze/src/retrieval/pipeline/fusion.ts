// Several rankings of a query into one.
import { ClozeError } from "../../errors.js";
import { standardizeScores } from "../../metrics/ranking.js";
import type { Ranking } from "../evaluation/ranking.js";
import type { Retriever } from "./retriever.js";

/**
 * How rankings are put together. "reciprocal-rank": sum of weight / (60 + rank) (Cormack 2009). "standardized": sum of
 * weight x (score - mean) / deviation, over the documents of each list.
 */
export type FusionMethod = "reciprocal-rank" | "standardized";

export interface FusionOptions {
  method?: FusionMethod;
  /** One weight for each ranking; all 1 unless told. */
  weights?: readonly number[];
  /** The constant of reciprocal rank; 60 unless told. */
  rankConstant?: number;
}

type Scorer = (ranking: Ranking, options: FusionOptions) => { scores: ArrayLike<number>; missing: number };

const scorers: Record<FusionMethod, Scorer> = {
  "reciprocal-rank": (ranking, { rankConstant = 60 }) => ({
    scores: ranking.map((_, place) => 1 / (rankConstant + place + 1)),
    missing: 0,
  }),
  standardized(ranking) {
    const scores = standardizeScores(ranking.map(({ score }) => score));
    // A document that a list does not hold scores as its last one (Pyserini's rule).
    return { scores, missing: scores.length === 0 ? 0 : Math.min(...scores) };
  },
};

/** Fused rankings of one query, best first; equal scores in the order in which documents first appear. */
export function fuseRankings(rankings: readonly Ranking[], options: FusionOptions = {}): Ranking {
  const { method = "standardized", weights = rankings.map(() => 1) } = options;
  if (weights.length !== rankings.length || !weights.every(Number.isFinite)) {
    throw new ClozeError("FUSION_WEIGHTS", "Fusion takes one weight for each ranking", {
      expected: `${rankings.length} numbers`,
      received: weights.join(", "),
    });
  }
  const fused = new Map<string, number>();
  const lists = rankings.map((ranking) => scorers[method](ranking, options));
  const base = lists.reduce((sum, { missing }, i) => sum + weights[i] * missing, 0);
  rankings.forEach((ranking, i) => {
    const { scores, missing } = lists[i];
    ranking.forEach(({ id }, place) => {
      fused.set(id, (fused.get(id) ?? base) + weights[i] * (scores[place] - missing));
    });
  });
  return [...fused].map(([id, score]) => ({ id, score })).sort((a, b) => b.score - a.score);
}

/** A retriever that asks several and fuses what they find. `poolDepth`: documents of each, 1000 unless told. */
export function fuseRetrievers(
  retrievers: readonly Retriever[],
  { poolDepth = 1000, ...options }: FusionOptions & { poolDepth?: number } = {},
): Retriever {
  return {
    name: retrievers.map(({ name }) => name).join(" + "),
    async search(queries, { depth }) {
      const found: Ranking[][] = [];
      for (const retriever of retrievers)
        found.push(await retriever.search(queries, { depth: Math.max(depth, poolDepth) }));
      return queries.map((_, q) =>
        fuseRankings(
          found.map((rankings) => rankings[q]),
          options,
        ).slice(0, depth),
      );
    },
  };
}

/** Weights of two rankings that add up to 1, in steps of 0.05. */
export const fusionGrid: readonly (readonly [number, number])[] = Array.from({ length: 21 }, (_, step) => [
  step / 20,
  1 - step / 20,
]);

/**
 * The weights under which training queries score best; the first of equals.
 *
 * @param found for each retriever, a ranking of each query
 * @param measure the score of rankings, one for each query
 */
export function chooseFusionWeights(
  found: readonly [readonly Ranking[], readonly Ranking[]],
  measure: (rankings: readonly Ranking[]) => number,
  options: Omit<FusionOptions, "weights"> = {},
): { weights: readonly [number, number]; score: number } {
  let best: { weights: readonly [number, number]; score: number } | undefined;
  for (const weights of fusionGrid) {
    const rankings = found[0].map((ranking, q) => fuseRankings([ranking, found[1][q]], { ...options, weights }));
    const score = measure(rankings);
    if (best === undefined || score > best.score) best = { weights, score };
  }
  return best as { weights: readonly [number, number]; score: number };
}
