// Numbers against numbers.
import { checkLengths, meanOf, sumOf } from "./shape.js";
import { tiedRanks } from "./tied-ranks.js";

type Numbers = ArrayLike<number>;

const isConstant = (values: Numbers): boolean => {
  for (let i = 1; i < values.length; i++) if (values[i] !== values[0]) return false;
  return true;
};

const hasNaN = (values: Numbers): boolean => Array.from(values).some(Number.isNaN);

/**
 * Pearson's linear correlation, between -1 and 1. NaN when one side is constant or there are fewer than two samples, as in
 * scipy.
 *
 * @throws METRIC_SHAPE
 */
export function pearsonCorrelation(labels: Numbers, predictions: Numbers): number {
  checkLengths("labels and predictions", labels, predictions);
  if (labels.length < 2 || isConstant(labels) || isConstant(predictions)) return Number.NaN;
  const count = labels.length;
  const meanLabel = meanOf(count, (i) => labels[i]);
  const meanPrediction = meanOf(count, (i) => predictions[i]);
  const normLabel = Math.sqrt(sumOf(count, (i) => (labels[i] - meanLabel) ** 2));
  const normPrediction = Math.sqrt(sumOf(count, (i) => (predictions[i] - meanPrediction) ** 2));
  // Each side is divided by its own norm: the product of two tiny norms may not be a number.
  const correlation = sumOf(
    count,
    (i) => ((labels[i] - meanLabel) / normLabel) * ((predictions[i] - meanPrediction) / normPrediction),
  );
  return Math.max(-1, Math.min(1, correlation));
}

/**
 * Spearman's rank correlation: Pearson's of the ranks, where equal values share their mean rank. NaN when one side is
 * constant or holds a NaN, or there are fewer than two samples.
 *
 * @throws METRIC_SHAPE
 */
export function spearmanCorrelation(labels: Numbers, predictions: Numbers): number {
  checkLengths("labels and predictions", labels, predictions);
  if (hasNaN(labels) || hasNaN(predictions)) return Number.NaN;
  return pearsonCorrelation(tiedRanks(labels), tiedRanks(predictions));
}

/** Mean of (label - prediction)²; NaN without samples. @throws METRIC_SHAPE */
export function meanSquaredError(labels: Numbers, predictions: Numbers): number {
  checkLengths("labels and predictions", labels, predictions);
  return meanOf(labels.length, (i) => (labels[i] - predictions[i]) ** 2);
}

/** Mean of |label - prediction|; NaN without samples. @throws METRIC_SHAPE */
export function meanAbsoluteError(labels: Numbers, predictions: Numbers): number {
  checkLengths("labels and predictions", labels, predictions);
  return meanOf(labels.length, (i) => Math.abs(labels[i] - predictions[i]));
}

/**
 * Coefficient of determination: 1 - (squared error) / (squared distance of the labels from their mean); at most 1, below 0
 * when the mean would predict better. Constant labels give 1 when predicted exactly and 0 otherwise; fewer than two samples
 * give NaN; all as in scikit-learn.
 *
 * @throws METRIC_SHAPE
 */
export function rSquared(labels: Numbers, predictions: Numbers): number {
  checkLengths("labels and predictions", labels, predictions);
  const count = labels.length;
  if (count < 2) return Number.NaN;
  const residual = sumOf(count, (i) => (labels[i] - predictions[i]) ** 2);
  if (isConstant(labels)) return residual === 0 ? 1 : 0;
  const mean = meanOf(count, (i) => labels[i]);
  return 1 - residual / sumOf(count, (i) => (labels[i] - mean) ** 2);
}
