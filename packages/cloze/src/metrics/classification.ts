// One class per sample: the figures of scikit-learn's classification metrics.
import {
  type Counts,
  macroAverage,
  microAverage,
  type Scores,
  type SupportedScores,
  scoresOf,
  weightedAverage,
} from "./scores.js";
import { checkLengths, checkValues, meanOf, type Rows, sumOf } from "./shape.js";

/** Which classes are scored. */
export interface ClassOptions {
  /** Default: every class that occurs among labels or predictions, ascending. Classes that never occur score 0. */
  classes?: readonly number[];
}

/** Scores of one class against all others. */
export interface ClassScores extends SupportedScores {
  readonly class: number;
}

/** Everything usual about single-label predictions. */
export interface ClassificationReport {
  readonly accuracy: number;
  readonly matthewsCorrelation: number;
  readonly classes: readonly ClassScores[];
  readonly micro: Scores;
  readonly macro: Scores;
  readonly weighted: Scores;
}

type Numbers = ArrayLike<number>;

const classesOf = (labels: Numbers, predictions: Numbers, { classes }: ClassOptions): number[] =>
  classes === undefined
    ? [...new Set([...Array.from(labels), ...Array.from(predictions)])].sort((a, b) => a - b)
    : [...classes];

/**
 * Share of samples whose predicted class is the right one; NaN without samples.
 *
 * @throws METRIC_SHAPE
 */
export function accuracy(labels: Numbers, predictions: Numbers): number {
  checkLengths("labels and predictions", labels, predictions);
  return meanOf(labels.length, (i) => (labels[i] === predictions[i] ? 1 : 0));
}

/**
 * Counts by true class (row) and predicted class (column), [classes][classes]. Samples of classes that are not listed are
 * left out.
 *
 * @throws METRIC_SHAPE
 */
export function confusionMatrix(labels: Numbers, predictions: Numbers, options: ClassOptions = {}): number[][] {
  checkLengths("labels and predictions", labels, predictions);
  const classes = classesOf(labels, predictions, options);
  const places = new Map(classes.map((name, place) => [name, place]));
  const matrix = classes.map(() => classes.map(() => 0));
  for (let i = 0; i < labels.length; i++) {
    const row = places.get(labels[i]);
    const column = places.get(predictions[i]);
    if (row !== undefined && column !== undefined) matrix[row][column]++;
  }
  return matrix;
}

function countClasses(labels: Numbers, predictions: Numbers, options: ClassOptions): (Counts & { class: number })[] {
  checkLengths("labels and predictions", labels, predictions);
  const counts = new Map(
    classesOf(labels, predictions, options).map((name) => [
      name,
      { class: name, truePositives: 0, falsePositives: 0, falseNegatives: 0 },
    ]),
  );
  for (let i = 0; i < labels.length; i++) {
    const right = counts.get(labels[i]);
    const chosen = counts.get(predictions[i]);
    if (labels[i] === predictions[i]) {
      if (right !== undefined) right.truePositives++;
    } else {
      if (right !== undefined) right.falseNegatives++;
      if (chosen !== undefined) chosen.falsePositives++;
    }
  }
  return [...counts.values()];
}

/**
 * Precision, recall, F1 and support of every class against the others. A figure with denominator 0 is 0.
 *
 * @throws METRIC_SHAPE
 */
export const classScores = (labels: Numbers, predictions: Numbers, options: ClassOptions = {}): ClassScores[] =>
  countClasses(labels, predictions, options).map((counts) => ({ class: counts.class, ...scoresOf(counts) }));

/**
 * Precision, recall and F1 of one class, as scikit-learn's `average="binary"`.
 *
 * @param positiveClass default 1; all 0 when it never occurs
 * @throws METRIC_SHAPE
 */
export const binaryScores = (labels: Numbers, predictions: Numbers, positiveClass = 1): SupportedScores =>
  scoresOf(countClasses(labels, predictions, { classes: [positiveClass] })[0]);

/**
 * Matthews correlation of any number of classes (Gorodkin 2004): the correlation of the one-hot tables of labels and
 * predictions, between -1 and 1. 0 when all labels or all predictions are the same; NaN without samples.
 *
 * @throws METRIC_SHAPE
 */
export function matthewsCorrelation(labels: Numbers, predictions: Numbers): number {
  const matrix = confusionMatrix(labels, predictions);
  const samples = labels.length;
  if (samples === 0) return Number.NaN;
  const size = matrix.length;
  const truth = matrix.map((row) => sumOf(size, (k) => row[k]));
  const predicted = matrix.map((_, k) => sumOf(size, (j) => matrix[j][k]));
  const correct = sumOf(size, (k) => matrix[k][k]);
  const together = correct * samples - sumOf(size, (k) => truth[k] * predicted[k]);
  const ofTruth = samples ** 2 - sumOf(size, (k) => truth[k] ** 2);
  const ofPredicted = samples ** 2 - sumOf(size, (k) => predicted[k] ** 2);
  return ofTruth === 0 || ofPredicted === 0 ? 0 : together / Math.sqrt(ofTruth * ofPredicted);
}

/** How probabilities are taken. */
export interface LogLossOptions {
  /** Divide each row by its sum first. Default false: scikit-learn 1.9 takes rows as they are. */
  renormalize?: boolean;
}

/**
 * Mean negative log-likelihood of the right classes, in nats. Probabilities are kept 2^-52 away from 0 and 1, as
 * scikit-learn does in float64; NaN without samples.
 *
 * @param labels columns of the right classes, [samples]
 * @param probabilities [samples][classes]
 * @throws METRIC_SHAPE, METRIC_VALUE for a label without a column or a probability outside [0, 1]
 */
export function logLoss(labels: Numbers, probabilities: Rows, { renormalize = false }: LogLossOptions = {}): number {
  checkLengths("labels and rows of probabilities", labels, probabilities);
  const smallest = Number.EPSILON;
  return meanOf(labels.length, (i) => {
    const row = probabilities[i];
    checkValues("probabilities from 0 to 1", row, (p) => p >= 0 && p <= 1);
    checkValues(`labels below ${row.length}`, [labels[i]], (c) => Number.isInteger(c) && c >= 0 && c < row.length);
    const scale = renormalize ? sumOf(row.length, (k) => row[k]) : 1;
    const likelihood = scale === 0 ? 0 : row[labels[i]] / scale;
    return -Math.log(Math.min(1 - smallest, Math.max(smallest, likelihood)));
  });
}

/**
 * Accuracy, Matthews correlation, every class's scores and their averages. Without samples, `accuracy`,
 * `matthewsCorrelation` and `macro` are NaN and the other averages 0.
 *
 * @throws METRIC_SHAPE
 */
export function classificationReport(
  labels: Numbers,
  predictions: Numbers,
  options: ClassOptions = {},
): ClassificationReport {
  const counts = countClasses(labels, predictions, options);
  const classes = counts.map((count) => ({ class: count.class, ...scoresOf(count) }));
  const { precision, recall, f1 } = microAverage(counts);
  return {
    accuracy: accuracy(labels, predictions),
    matthewsCorrelation: matthewsCorrelation(labels, predictions),
    classes,
    micro: { precision, recall, f1 },
    macro: macroAverage(classes),
    weighted: weightedAverage(classes),
  };
}
