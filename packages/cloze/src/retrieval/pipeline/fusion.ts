// Several rankings of a query into one.
import { ClozeError } from "../../errors.js";
import { standardizeScores } from "../../metrics/ranking.js";
import type { Ranking } from "../evaluation/ranking.js";
import type { Retriever } from "./retriever.js";

/**
 * How rankings are put together. "reciprocal-rank": sum of weight / (60 + rank) (Cormack 2009). "standardized": sum of
 * weight x (score - mean) / deviation, over the documents of all lists.
 */
export type FusionMethod = "reciprocal-rank" | "standardized";

export interface FusionOptions {
  method?: FusionMethod;
  /** One weight for each ranking; all 1 unless told. */
  weights?: readonly number[];
  /** The score, in each ranking, of documents that it does not hold; undefined: that of its last one. */
  floors?: (rankings: readonly Ranking[]) => readonly (number | undefined)[];
  /** The constant of reciprocal rank; 60 unless told. */
  rankConstant?: number;
}

/** The scores of a list's documents, and of one that is not in it; `union` documents are in any of the lists. */
type Scorer = (ranking: Ranking, union: number, floor: number, options: FusionOptions) => Scored;
interface Scored {
  readonly scores: ArrayLike<number>;
  readonly missing: number;
}

const scorers: Record<FusionMethod, Scorer> = {
  "reciprocal-rank": (ranking, _, _floor, { rankConstant = 60 }) => ({
    scores: ranking.map((_, place) => 1 / (rankConstant + place + 1)),
    missing: 0,
  }),
  standardized(ranking, union, floor) {
    const all = new Float32Array(union).fill(floor);
    ranking.forEach(({ score }, place) => {
      all[place] = score;
    });
    const scores = standardizeScores(all);
    return { scores, missing: union > ranking.length ? scores[union - 1] : 0 };
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
  for (const ranking of rankings) for (const { id } of ranking) fused.set(id, 0);
  const floors = options.floors?.(rankings);
  const lists = rankings.map((ranking, i) => {
    // A document that a list does not hold scores as its last one (Pyserini's rule), or as it is known to.
    const floor = floors?.[i] ?? ranking.at(-1)?.score ?? 0;
    return scorers[method](ranking, fused.size, floor, options);
  });
  const base = lists.reduce((sum, { missing }, i) => sum + weights[i] * missing, 0);
  for (const id of fused.keys()) fused.set(id, base);
  rankings.forEach((ranking, i) => {
    const { scores, missing } = lists[i];
    ranking.forEach(({ id }, place) => {
      fused.set(id, (fused.get(id) as number) + weights[i] * (scores[place] - missing));
    });
  });
  return [...fused].map(([id, score]) => ({ id, score })).sort((a, b) => b.score - a.score);
}

/** What documents score that retrievers did not find, where their lists are shorter than they might be. */
export const floorsOf =
  (retrievers: readonly Retriever[], depth: number) =>
  (rankings: readonly Ranking[]): (number | undefined)[] =>
    rankings.map((ranking, i) => (ranking.length < depth ? retrievers[i].unfound : undefined));

/** A retriever that asks several and fuses what they find. `poolDepth`: documents of each, 1000 unless told. */
export function fuseRetrievers(
  retrievers: readonly Retriever[],
  { poolDepth = 1000, ...options }: FusionOptions & { poolDepth?: number } = {},
): Retriever {
  return {
    name: retrievers.map(({ name }) => name).join(" + "),
    async search(queries, { depth, ...rest }) {
      const found: Ranking[][] = [];
      for (const retriever of retrievers)
        found.push(await retriever.search(queries, { depth: Math.max(depth, poolDepth), ...rest }));
      const floors = floorsOf(retrievers, Math.max(depth, poolDepth));
      const fuse = (q: number) =>
        fuseRankings(
          found.map((rankings) => rankings[q]),
          { floors, ...options },
        );
      return queries.map((_, q) => fuse(q).slice(0, depth));
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
