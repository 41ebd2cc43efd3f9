// Graded relevance: (normalised) discounted cumulative gain.
import { checkCutoff, checkLengths, checkScores, checkValues, meanOf, type Rows } from "./shape.js";
import { ascendingOrder } from "./tied-ranks.js";

/** How gains are counted. */
export interface GainOptions {
  /** Only the first so many places count. Default: all. */
  cutoff?: number;
  /** "linear" (default; scikit-learn, Järvelin and Kekäläinen 2002) takes a grade as it is, "exponential" 2^grade - 1 (Burges 2005). */
  gain?: "linear" | "exponential";
}

type Numbers = ArrayLike<number>;

/**
 * Sum over the places of gain / log2(place + 1), places from 1. Documents with equal scores each get the mean gain of their
 * group, that is the mean over all orders they could stand in.
 *
 * @param grades relevance of each document, at least 0
 * @param scores by which the documents are ranked, in the same order as `grades`
 * @throws METRIC_SHAPE, METRIC_VALUE for grades below 0, NaN scores and cutoffs that are no positive whole number
 */
export function discountedGain(grades: Numbers, scores: Numbers, options: GainOptions = {}): number {
  const { cutoff = Number.POSITIVE_INFINITY, gain = "linear" } = options;
  checkLengths("grades and scores", grades, scores);
  checkValues("grades of at least 0", grades, (grade) => grade >= 0);
  checkScores(scores);
  checkCutoff(cutoff);
  const order = ascendingOrder(scores).reverse();
  let total = 0;
  for (let start = 0; start < Math.min(cutoff, order.length); ) {
    let end = start;
    let gains = 0;
    let discounts = 0;
    while (end < order.length && scores[order[end]] === scores[order[start]]) {
      const grade = grades[order[end]];
      gains += gain === "exponential" ? 2 ** grade - 1 : grade;
      if (end < cutoff) discounts += 1 / Math.log2(end + 2);
      end++;
    }
    total += (gains / (end - start)) * discounts;
    start = end;
  }
  return total;
}

/**
 * Discounted gain divided by that of the best possible order, between 0 and 1; 0 when no document is relevant.
 *
 * @throws METRIC_SHAPE, METRIC_VALUE
 */
export function normalizedDiscountedGain(grades: Numbers, scores: Numbers, options: GainOptions = {}): number {
  const reached = discountedGain(grades, scores, options);
  const best = discountedGain(grades, grades, options);
  return best === 0 ? 0 : reached / best;
}

/**
 * Mean normalised discounted gain over queries, as scikit-learn's `ndcg_score` with linear gains; NaN without queries.
 *
 * @param grades [queries][documents]
 * @param scores [queries][documents]
 * @throws METRIC_SHAPE, METRIC_VALUE
 */
export function meanNormalizedDiscountedGain(grades: Rows, scores: Rows, options: GainOptions = {}): number {
  checkLengths("rows of grades and rows of scores", grades, scores);
  return meanOf(grades.length, (i) => normalizedDiscountedGain(grades[i], scores[i], options));
}
