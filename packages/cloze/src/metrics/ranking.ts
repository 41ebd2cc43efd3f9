import { ClozeError } from "../errors.js";

/** How well the right answers rank over many queries. */
export interface RankingSummary {
  /** Share of queries whose answer is among the first k, by k. */
  recall: Record<number, number>;
  meanReciprocalRank: number;
}

/**
 * Rank (from 1) of `target`. Those that score as much share their ranks: half of them count as before it, so that neither a
 * scorer with few distinct scores nor one with none at all gains by ties.
 */
export function rankOf(scores: ArrayLike<number>, target: number): number {
  const wanted = scores[target];
  if (!Number.isFinite(wanted)) {
    throw new ClozeError("RANKING_TARGET", "The right answer has no finite score.", {
      expected: `a position below ${scores.length} with a finite score`,
      received: `position ${target}, score ${wanted}`,
    });
  }
  let above = 0;
  let equal = 0;
  for (let place = 0; place < scores.length; place++) {
    if (scores[place] > wanted) above++;
    else if (scores[place] === wanted) equal++;
  }
  return above + (equal + 1) / 2;
}

/** Recall at every `k` and the mean reciprocal rank of ranks that start at 1; 0 where there are no ranks. */
export function summarizeRanks(ranks: ArrayLike<number>, cutoffs: readonly number[] = [1, 10, 100]): RankingSummary {
  const count = Math.max(1, ranks.length);
  const recall: Record<number, number> = {};
  for (const cutoff of cutoffs) recall[cutoff] = 0;
  let reciprocals = 0;
  for (let query = 0; query < ranks.length; query++) {
    for (const cutoff of cutoffs) if (ranks[query] <= cutoff) recall[cutoff]++;
    reciprocals += 1 / ranks[query];
  }
  for (const cutoff of cutoffs) recall[cutoff] /= count;
  return { recall, meanReciprocalRank: reciprocals / count };
}

/** Scores of one query with mean 0 and variance 1; all zero where they are all equal. */
export function standardizeScores(scores: ArrayLike<number>): Float32Array {
  const count = Math.max(1, scores.length);
  let sum = 0;
  for (let place = 0; place < scores.length; place++) sum += scores[place];
  const mean = sum / count;
  let squares = 0;
  for (let place = 0; place < scores.length; place++) squares += (scores[place] - mean) ** 2;
  const scale = squares > 0 ? 1 / Math.sqrt(squares / count) : 0;
  return Float32Array.from(scores, (score) => (score - mean) * scale);
}

/** Standardised `first` plus `weight` times standardised `second`. */
export function fuseScores(first: ArrayLike<number>, second: ArrayLike<number>, weight: number): Float32Array {
  if (first.length !== second.length) {
    throw new ClozeError("METRIC_SHAPE", "Only score rows over the same documents can be fused.", {
      expected: `${first.length} scores`,
      received: String(second.length),
    });
  }
  const fused = standardizeScores(first);
  const other = standardizeScores(second);
  for (let place = 0; place < fused.length; place++) fused[place] += weight * other[place];
  return fused;
}
