// Scores against yes-or-no labels, over all thresholds.
import { type Counts, scoresOf } from "./scores.js";
import { checkBinary, checkLengths, checkScores, checkValues, sumOf } from "./shape.js";
import { ascendingOrder, tiedRanks } from "./tied-ranks.js";

type Numbers = ArrayLike<number>;

/** Counts at one threshold. */
export interface ThresholdCounts extends Counts {
  trueNegatives: number;
}

/** The best threshold and what it reaches. */
export interface TunedThreshold {
  /** A sample is positive when its score is at least this. Finite. */
  readonly threshold: number;
  readonly score: number;
}

function check(labels: Numbers, scores: Numbers): void {
  checkLengths("labels and scores", labels, scores);
  checkBinary(labels);
  checkScores(scores);
}

/**
 * Area under the receiver operating characteristic: the chance that a positive scores above a negative, ties counting
 * half. NaN unless there are both (also without samples), as in scikit-learn.
 *
 * @param labels 0 or 1
 * @throws METRIC_SHAPE, METRIC_VALUE for other labels and NaN scores
 */
export function rocAuc(labels: Numbers, scores: Numbers): number {
  check(labels, scores);
  const positives = sumOf(labels.length, (i) => labels[i]);
  const negatives = labels.length - positives;
  if (positives === 0 || negatives === 0) return Number.NaN;
  const ranks = tiedRanks(scores);
  const rankSum = sumOf(labels.length, (i) => labels[i] * ranks[i]);
  return (rankSum - (positives * (positives + 1)) / 2) / (positives * negatives);
}

/** Counts after each group of equal scores, from the highest score down. */
function* thresholdsOf(labels: Numbers, scores: Numbers): Generator<{ score: number; counts: ThresholdCounts }> {
  const order = ascendingOrder(scores).reverse();
  const positives = sumOf(labels.length, (i) => labels[i]);
  let truePositives = 0;
  for (let i = 0; i < order.length; i++) {
    truePositives += labels[order[i]];
    if (i + 1 < order.length && scores[order[i + 1]] === scores[order[i]]) continue;
    const falsePositives = i + 1 - truePositives;
    yield {
      score: scores[order[i]],
      counts: {
        truePositives,
        falsePositives,
        falseNegatives: positives - truePositives,
        trueNegatives: labels.length - positives - falsePositives,
      },
    };
  }
}

/**
 * Mean precision over the steps of recall, `sum (R_n - R_{n-1}) P_n`, without interpolation; samples with equal scores make
 * one step. 0 without positives, as in scikit-learn; NaN without samples.
 *
 * @param labels 0 or 1
 * @throws METRIC_SHAPE, METRIC_VALUE for other labels and NaN scores
 */
export function averagePrecision(labels: Numbers, scores: Numbers): number {
  check(labels, scores);
  if (labels.length === 0) return Number.NaN;
  let area = 0;
  let before = 0;
  for (const { counts } of thresholdsOf(labels, scores)) {
    const { precision, recall } = scoresOf(counts);
    area += (recall - before) * precision;
    before = recall;
  }
  return area;
}

/**
 * The threshold at which a figure is largest on these samples (a development set, never the test set). Between two scores
 * it lies in the middle; of several equally good ones the highest is taken; "nothing is positive" is tried too.
 *
 * @param labels 0 or 1
 * @param figure what to maximise; default F1
 * @returns NaN for both without samples
 * @throws METRIC_SHAPE, METRIC_VALUE for other labels and scores that are not finite
 */
export function bestThreshold(
  labels: Numbers,
  scores: Numbers,
  figure: (counts: ThresholdCounts) => number = (counts) => scoresOf(counts).f1,
): TunedThreshold {
  check(labels, scores);
  checkValues("finite scores", scores, Number.isFinite);
  if (labels.length === 0) return { threshold: Number.NaN, score: Number.NaN };
  const steps = [...thresholdsOf(labels, scores)];
  const positives = sumOf(labels.length, (i) => labels[i]);
  const nothing = {
    truePositives: 0,
    falsePositives: 0,
    falseNegatives: positives,
    trueNegatives: labels.length - positives,
  };
  const highest = steps[0].score;
  let best = { threshold: highest + Math.max(1, Math.abs(highest)), score: figure(nothing) };
  steps.forEach(({ score, counts }, i) => {
    const reached = figure(counts);
    if (!(reached > best.score)) return;
    const below = i + 1 < steps.length ? steps[i + 1].score : score;
    const middle = below + (score - below) / 2;
    // Rounding may put the middle of two neighbours onto the lower one.
    best = { threshold: middle > below ? middle : score, score: reached };
  });
  return best;
}
