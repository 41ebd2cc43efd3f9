// Any number of labels per sample: tables [samples][labels] of 0 and 1, or of scores.
import { bestThreshold, rocAuc, type ThresholdCounts, type TunedThreshold } from "./curves.js";
import {
  type Counts,
  macroAverage,
  microAverage,
  type Scores,
  type SupportedScores,
  scoresOf,
  weightedAverage,
} from "./scores.js";
import { checkBinary, checkLengths, checkMatrices, checkScores, meanOf, type Rows } from "./shape.js";

/** Scores of every label and their averages. */
export interface MultiLabelReport {
  /** By label, as the columns stand. */
  readonly labels: readonly SupportedScores[];
  readonly micro: Scores;
  readonly macro: Scores;
  readonly weighted: Scores;
  /** Mean of the scores of every sample's own label set. */
  readonly samples: Scores;
}

const column = (rows: Rows, k: number): Float64Array => Float64Array.from(rows, (row) => row[k]);

function checkTables(labels: Rows, others: Rows, check: (row: ArrayLike<number>) => void): number {
  const width = checkMatrices("labels and what is compared with them", labels, others);
  labels.forEach(checkBinary);
  others.forEach(check);
  return width;
}

function countRow(labels: ArrayLike<number>, predictions: ArrayLike<number>): Counts {
  const counts = { truePositives: 0, falsePositives: 0, falseNegatives: 0 };
  for (let k = 0; k < labels.length; k++) {
    if (labels[k] === 1 && predictions[k] === 1) counts.truePositives++;
    else if (predictions[k] === 1) counts.falsePositives++;
    else if (labels[k] === 1) counts.falseNegatives++;
  }
  return counts;
}

/**
 * Precision, recall and F1 by label, and their averages. A figure with denominator 0 is 0; without samples `macro` and
 * `samples` are NaN and the other averages 0.
 *
 * @param labels [samples][labels] of 0 and 1
 * @param predictions [samples][labels] of 0 and 1
 * @throws METRIC_SHAPE, METRIC_VALUE
 */
export function multiLabelReport(labels: Rows, predictions: Rows): MultiLabelReport {
  const width = checkTables(labels, predictions, checkBinary);
  const counts = Array.from({ length: width }, (_, k) => countRow(column(labels, k), column(predictions, k)));
  const perLabel = counts.map(scoresOf);
  const { precision, recall, f1 } = microAverage(counts);
  return {
    labels: perLabel,
    micro: { precision, recall, f1 },
    macro: macroAverage(perLabel),
    weighted: weightedAverage(perLabel),
    samples: macroAverage(labels.map((row, i) => scoresOf(countRow(row, predictions[i])))),
  };
}

/**
 * Mean over the labels of each one's area under the ROC curve; NaN when some label is never or always given (scikit-learn's
 * value), or without samples.
 *
 * @param scores [samples][labels]
 * @throws METRIC_SHAPE, METRIC_VALUE
 */
export function macroRocAuc(labels: Rows, scores: Rows): number {
  const width = checkTables(labels, scores, checkScores);
  return meanOf(width, (k) => rocAuc(column(labels, k), column(scores, k)));
}

/**
 * Label ranking average precision: for each true label, which share of the labels ranked at least as high is true; mean over
 * the true labels, then the samples. A sample with all labels or none counts 1; NaN without samples.
 *
 * @param scores [samples][labels]
 * @throws METRIC_SHAPE, METRIC_VALUE
 */
export function labelRankingAveragePrecision(labels: Rows, scores: Rows): number {
  checkTables(labels, scores, checkScores);
  return meanOf(labels.length, (i) => {
    const places = Array.from(scores[i], (_, k) => k);
    const right = places.filter((k) => labels[i][k] === 1);
    if (right.length === 0 || right.length === places.length) return 1;
    return meanOf(right.length, (j) => {
      const atLeast = (k: number): boolean => scores[i][k] >= scores[i][right[j]];
      return right.filter(atLeast).length / places.filter(atLeast).length;
    });
  });
}

/**
 * Share of all entries that are wrong; NaN without any.
 *
 * @throws METRIC_SHAPE, METRIC_VALUE
 */
export function hammingLoss(labels: Rows, predictions: Rows): number {
  const width = checkTables(labels, predictions, checkBinary);
  return (
    meanOf(labels.length, (i) => {
      const { falsePositives, falseNegatives } = countRow(labels[i], predictions[i]);
      return falsePositives + falseNegatives;
    }) / width
  );
}

/**
 * Share of samples whose label set is predicted without any mistake (subset accuracy); NaN without samples.
 *
 * @throws METRIC_SHAPE, METRIC_VALUE
 */
export function exactMatchRatio(labels: Rows, predictions: Rows): number {
  checkTables(labels, predictions, checkBinary);
  return meanOf(labels.length, (i) => {
    const { falsePositives, falseNegatives } = countRow(labels[i], predictions[i]);
    return falsePositives + falseNegatives === 0 ? 1 : 0;
  });
}

/**
 * The best threshold of every label by itself, on a development set. See `bestThreshold`.
 *
 * @param scores [samples][labels]
 * @param figure what to maximise; default F1
 * @throws METRIC_SHAPE, METRIC_VALUE
 */
export function bestLabelThresholds(
  labels: Rows,
  scores: Rows,
  figure?: (counts: ThresholdCounts) => number,
): TunedThreshold[] {
  const width = checkTables(labels, scores, checkScores);
  return Array.from({ length: width }, (_, k) => bestThreshold(column(labels, k), column(scores, k), figure));
}

/**
 * Predictions [samples][labels]: 1 where a score is at least its label's threshold.
 *
 * @param thresholds one for all labels, or one for each
 * @throws METRIC_SHAPE
 */
export function applyThresholds(scores: Rows, thresholds: number | ArrayLike<number>): Uint8Array[] {
  return scores.map((row) => {
    if (typeof thresholds !== "number") checkLengths("scores of a sample and thresholds", row, thresholds);
    return Uint8Array.from(row, (score, k) =>
      score >= (typeof thresholds === "number" ? thresholds : thresholds[k]) ? 1 : 0,
    );
  });
}
