// How much the scores that were there before a reranker count beside its own.
import { standardizeScores } from "../../metrics/ranking.js";
import type { Ranking, ScoredDocument } from "../evaluation/ranking.js";

/**
 * The first `depth` documents by new scores, then the rest in their order, with scores below.
 *
 * @param scores of the first documents, in the ranking's order
 * @param firstStageWeight of the scores before against the new ones, both standardised, 0 to 1; at 0 the new scores stay as
 *   they are
 */
export function reorder(
  ranking: Ranking,
  depth: number,
  scores: ArrayLike<number>,
  firstStageWeight: number,
): ScoredDocument[] {
  const head = ranking.slice(0, depth);
  let values: ArrayLike<number> = scores;
  if (firstStageWeight > 0) {
    const [before, now] = [standardizeScores(head.map(({ score }) => score)), standardizeScores(scores)];
    values = Float64Array.from(before, (score, i) => firstStageWeight * score + (1 - firstStageWeight) * now[i]);
  }
  const sorted = head.map(({ id }, i) => ({ id, score: values[i] })).sort((a, b) => b.score - a.score);
  const least = sorted.at(-1)?.score ?? 0;
  const rest: ScoredDocument[] = ranking.slice(depth).map(({ id }, i) => ({ id, score: least - 1 - i }));
  return [...sorted, ...rest];
}

export interface ChosenWeight {
  readonly weight: number;
  readonly score: number;
  /** The rankings under that weight. */
  readonly rankings: readonly Ranking[];
}

/**
 * The weight, in steps of 0.05, under which queries score best; of equals the one that trusts the first stage more. The
 * queries must be others than those that the reranker learnt from, which it knows by heart, and than those it is judged by.
 *
 * @param before a ranking of each query
 * @param after the same rankings reranked to `depth` with weight 0
 * @param measure the score of rankings, one for each query
 * @example
 * const { weight } = chooseFirstStageWeight([[{ id: "a", score: 2 }, { id: "b", score: 1 }]],
 *   [[{ id: "b", score: 9 }, { id: "a", score: 0 }]], ([ranking]) => (ranking[0].id === "b" ? 1 : 0));
 */
export function chooseFirstStageWeight(
  before: readonly Ranking[],
  after: readonly Ranking[],
  measure: (rankings: readonly Ranking[]) => number,
  depth = 100,
): ChosenWeight {
  const scores = before.map((ranking, q) => {
    const known = new Map(after[q].map(({ id, score }) => [id, score]));
    return ranking.slice(0, depth).map(({ id }) => known.get(id) as number);
  });
  let best: ChosenWeight | undefined;
  for (let step = 20; step >= 0; step--) {
    const weight = step / 20;
    const rankings = before.map((ranking, q) => reorder(ranking, depth, scores[q], weight));
    const score = measure(rankings);
    if (best === undefined || score > best.score) best = { weight, score, rankings };
  }
  return best as ChosenWeight;
}
