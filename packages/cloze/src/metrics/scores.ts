// Precision, recall and F1 from counts, and their averages: shared by classes, labels and entities.
import { meanOf, sumOf } from "./shape.js";

/** Counts of one class, label or entity type. */
export interface Counts {
  truePositives: number;
  falsePositives: number;
  falseNegatives: number;
}

/** Each between 0 and 1. */
export interface Scores {
  readonly precision: number;
  readonly recall: number;
  readonly f1: number;
}

/** Scores of one class, with the number of samples that truly are of it. */
export interface SupportedScores extends Scores {
  readonly support: number;
}

const ratio = (part: number, whole: number): number => (whole === 0 ? 0 : part / whole);

/**
 * precision = tp / (tp + fp), recall = tp / (tp + fn), F1 = 2 tp / (2 tp + fp + fn). A figure whose denominator is 0 is 0, as
 * in scikit-learn.
 */
export function scoresOf({ truePositives, falsePositives, falseNegatives }: Counts): SupportedScores {
  return {
    precision: ratio(truePositives, truePositives + falsePositives),
    recall: ratio(truePositives, truePositives + falseNegatives),
    f1: ratio(2 * truePositives, 2 * truePositives + falsePositives + falseNegatives),
    support: truePositives + falseNegatives,
  };
}

/** Scores of the summed counts. */
export const microAverage = (counts: readonly Counts[]): SupportedScores =>
  scoresOf({
    truePositives: sumOf(counts.length, (i) => counts[i].truePositives),
    falsePositives: sumOf(counts.length, (i) => counts[i].falsePositives),
    falseNegatives: sumOf(counts.length, (i) => counts[i].falseNegatives),
  });

/** Unweighted mean of each figure; NaN of nothing. */
export const macroAverage = (scores: readonly Scores[]): Scores => ({
  precision: meanOf(scores.length, (i) => scores[i].precision),
  recall: meanOf(scores.length, (i) => scores[i].recall),
  f1: meanOf(scores.length, (i) => scores[i].f1),
});

/** Mean of each figure weighted by support; 0 where there is no support at all. */
export function weightedAverage(scores: readonly SupportedScores[]): Scores {
  const total = sumOf(scores.length, (i) => scores[i].support);
  const mean = (figure: keyof Scores): number =>
    ratio(
      sumOf(scores.length, (i) => scores[i][figure] * scores[i].support),
      total,
    );
  return { precision: mean("precision"), recall: mean("recall"), f1: mean("f1") };
}
