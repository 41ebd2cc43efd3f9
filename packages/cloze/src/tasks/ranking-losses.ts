// Losses over the candidates of one query, by name. A new one is a function and a line here.
import {
  add,
  crossEntropy,
  div,
  logSoftmax,
  logSumExp,
  mul,
  neg,
  relu,
  reshape,
  softmax,
  softplus,
  sub,
  sum,
  type Tensor,
  take,
  tensor,
} from "@cloze/tensor";

/** scores: [candidates] -> one number; undefined where a query has nothing to say: no candidate is better than another. */
type ListLoss = (scores: Tensor, grades: ArrayLike<number>) => Tensor | undefined;

interface Pairs {
  readonly better: Int32Array;
  readonly worse: Int32Array;
}

/** All pairs of which the first has the higher grade. */
function orderedPairs(grades: ArrayLike<number>): Pairs {
  const better: number[] = [];
  const worse: number[] = [];
  for (let i = 0; i < grades.length; i++) {
    for (let j = 0; j < grades.length; j++) {
      if (grades[i] <= grades[j]) continue;
      better.push(i);
      worse.push(j);
    }
  }
  return { better: Int32Array.from(better), worse: Int32Array.from(worse) };
}

/** Mean over the pairs of a function of score(worse) - score(better), each times its weight. */
function overPairs(
  scores: Tensor,
  grades: ArrayLike<number>,
  cost: (difference: Tensor) => Tensor,
  weigh?: (pairs: Pairs) => Float32Array,
): Tensor | undefined {
  const pairs = orderedPairs(grades);
  const { better, worse } = pairs;
  if (better.length === 0) return undefined;
  const costs = cost(sub(take(scores, tensor(worse)), take(scores, tensor(better))));
  const weighed = weigh === undefined ? costs : mul(costs, tensor(weigh(pairs), costs.shape));
  return div(sum(weighed), better.length);
}

/** How the pairs of `lambdaWeights` count. */
export type LambdaScheme = "lambda-rank" | "ndcg-loss2" | "ndcg-loss2++";

/**
 * How much a pair of candidates counts (Burges 2006; Wang 2018), with G = (2^grade - 1) / best DCG and D(r) = log2(1 + r):
 * LambdaRank |1/D(r_i) - 1/D(r_j)| |G_i - G_j|, which is what NDCG changes by when the two change places; NDCG-Loss2
 * |1/D(|r_i - r_j|) - 1/D(|r_i - r_j| + 1)| |G_i - G_j|; "++" ten times the second and the first. Ranks are those of the scores.
 */
export function lambdaWeights(
  scores: ArrayLike<number>,
  grades: ArrayLike<number>,
  { better, worse }: Pairs,
  scheme: LambdaScheme,
): Float32Array {
  const order = Array.from(scores, (_, i) => i).sort((a, b) => scores[b] - scores[a] || a - b);
  const ranks = new Float64Array(order.length);
  order.forEach((candidate, place) => {
    ranks[candidate] = place + 1;
  });
  const discount = (rank: number) => 1 / Math.log2(1 + rank);
  const gains = Float64Array.from(grades, (grade) => 2 ** grade - 1);
  const most = gains
    .slice()
    .sort((a, b) => b - a)
    .reduce((total, gain, i) => total + gain * discount(i + 1), 0);
  return Float32Array.from(better, (i, pair) => {
    const j = worse[pair];
    const gain = Math.abs(gains[i] - gains[j]) / most;
    const apart = Math.abs(ranks[i] - ranks[j]);
    const swap = gain * Math.abs(discount(ranks[i]) - discount(ranks[j]));
    const near = gain * Math.abs(discount(apart) - discount(apart + 1));
    return scheme === "lambda-rank" ? swap : scheme === "ndcg-loss2" ? near : 10 * near + swap;
  });
}

const lambdaLoss =
  (scheme: LambdaScheme): ListLoss =>
  (scores, grades) =>
    overPairs(
      scores,
      grades,
      (difference) => mul(softplus(difference), 1 / Math.LN2),
      (pairs) => lambdaWeights(scores.toTypedArray() as Float32Array, grades, pairs, scheme),
    );

/** Cross-entropy of a softmax over the candidates to the share that each has of the grades. */
const shares: ListLoss = (scores, grades) => {
  const positive = Array.from(grades, (grade) => Math.max(0, grade));
  const total = positive.reduce((a, b) => a + b, 0);
  if (total === 0) return undefined;
  const line = reshape(scores, [1, positive.length]);
  return positive
    .flatMap((grade, place) =>
      grade === 0 ? [] : [mul(crossEntropy(line, tensor(Int32Array.of(place))), grade / total)],
    )
    .reduce(add);
};

/** Whether a query has better and worse candidates. */
const hasOrder = (grades: ArrayLike<number>): boolean => new Set(Array.from(grades)).size > 1;

const listNet: ListLoss = (scores, grades) => {
  if (!hasOrder(grades)) return undefined;
  const line = [1, grades.length];
  const wanted = softmax(tensor(Float32Array.from(grades), line));
  return neg(sum(mul(wanted, logSoftmax(reshape(scores, line)))));
};

/** -sum over the candidates, best first, of weight x (score - log sum exp of the scores from there on). */
const listMle =
  (weight: (place: number, count: number) => number): ListLoss =>
  (scores, grades) => {
    if (!hasOrder(grades)) return undefined;
    const count = grades.length;
    const order = Int32Array.from(Array.from(grades, (_, i) => i).sort((a, b) => grades[b] - grades[a] || a - b));
    const sorted = reshape(take(scores, tensor(order)), [1, count]);
    const before = Float32Array.from({ length: count * count }, (_, i) =>
      i % count < Math.floor(i / count) ? -1e9 : 0,
    );
    const rest = reshape(logSumExp(add(sorted, tensor(before, [count, count]))), [1, count]);
    const raw = Array.from({ length: count }, (_, i) => weight(i + 1, count));
    const total = raw.reduce((a, b) => a + b, 0);
    // Weights of mean 1, so that both forms are alike in size.
    const weights = Float32Array.from(raw, (one) => (one * count) / total);
    return neg(sum(mul(sub(sorted, rest), tensor(weights, [1, count]))));
  };

/** Beside "pointwise", which asks of each candidate alone. */
export const rankingLosses = {
  /** RankNet (Burges 2005): mean of log(1 + exp(worse - better)). */
  pairwise: (scores, grades) => overPairs(scores, grades, softplus),
  /** mean of max(0, 1 - better + worse). */
  hinge: (scores, grades) => overPairs(scores, grades, (difference) => relu(add(difference, 1))),
  /** With one relevant candidate the localised cross-entropy: -log softmax of its score. */
  listwise: shares,
  /** Cao 2007: cross-entropy of the softmax of scores to the softmax of grades. */
  "list-net": listNet,
  /** Xia 2008 */
  "list-mle": listMle(() => 1),
  /** Lan 2014: weights 2^(count - place) - 1. Long lists: relative to the largest, or they overflow. */
  "p-list-mle": listMle((place, count) => 2 ** -place - 2 ** -count),
  "lambda-rank": lambdaLoss("lambda-rank"),
  "ndcg-loss2": lambdaLoss("ndcg-loss2"),
  "ndcg-loss2++": lambdaLoss("ndcg-loss2++"),
} satisfies Record<string, ListLoss>;

export type RankingLoss = keyof typeof rankingLosses;
