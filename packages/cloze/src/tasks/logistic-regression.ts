// Logistic regression on sparse rows, as scikit-learn's LogisticRegression defines it.
import { type MinimizeOptions, type Minimum, minimize } from "./minimize.js";
import type { SparseRows } from "./tf-idf.js";

export interface LogisticRegressionOptions extends MinimizeOptions {
  /** The sum of losses weighs so much against half the squared length of the coefficients. Default 1. */
  inverseRegularization?: number;
  /** "multinomial": one softmax over all classes. "one-vs-rest": each class by itself. Default "multinomial". */
  scheme?: "multinomial" | "one-vs-rest";
  /** What the loss of each row is multiplied by. Default 1. [rows] */
  rowWeights?: Float64Array;
}

/** One line for each class; a single one, that of class 1, where there are two classes. */
export interface LinearClassifier {
  readonly scheme: "multinomial" | "one-vs-rest";
  readonly classes: number;
  /** By column of the rows: [columns, lines] */
  readonly coefficients: Float64Array;
  /** [lines] */
  readonly intercepts: Float64Array;
}

export interface LogisticRegressionFit {
  readonly classifier: LinearClassifier;
  /** Sum over the rows of weighted losses, plus half the squared length / inverseRegularization; of each minimisation. */
  readonly losses: readonly number[];
  readonly iterations: number;
  readonly converged: boolean;
}

/** A matrix as rows of which every number is named. */
export function denseRows(vectors: ArrayLike<number>, width: number): SparseRows {
  const rows = vectors.length / width;
  return {
    starts: Int32Array.from({ length: rows + 1 }, (_, i) => i * width),
    columns: Int32Array.from({ length: vectors.length }, (_, i) => i % width),
    values: Float64Array.from(vectors),
    width,
  };
}

/** scores[i, line] = row i . coefficients + intercept */
function scoresOf(rows: SparseRows, x: Float64Array, lines: number, scores: Float64Array): void {
  const { starts, columns, values, width } = rows;
  const intercepts = width * lines;
  for (let row = 0; row + 1 < starts.length; row++) {
    const to = row * lines;
    for (let line = 0; line < lines; line++) scores[to + line] = x[intercepts + line];
    for (let at = starts[row]; at < starts[row + 1]; at++) {
      const from = columns[at] * lines;
      for (let line = 0; line < lines; line++) scores[to + line] += values[at] * x[from + line];
    }
  }
}

/** Replaces the scores of a row by the gradient of its loss; gives the loss. Lines are classes, or one line for 0 and 1. */
function rowLoss(scores: Float64Array, at: number, lines: number, target: number): number {
  if (lines === 1) {
    // log(1 + exp(-s)) with s the score on the side of the target.
    const side = target === 1 ? scores[at] : -scores[at];
    const small = Math.exp(-Math.abs(side));
    const wrong = side > 0 ? small / (1 + small) : 1 / (1 + small);
    scores[at] = target === 1 ? -wrong : wrong;
    return Math.log1p(small) + Math.max(0, -side);
  }
  let most = Number.NEGATIVE_INFINITY;
  for (let line = 0; line < lines; line++) most = Math.max(most, scores[at + line]);
  const own = scores[at + target];
  let total = 0;
  for (let line = 0; line < lines; line++) total += scores[at + line] = Math.exp(scores[at + line] - most);
  for (let line = 0; line < lines; line++) scores[at + line] /= total;
  scores[at + target] -= 1;
  return Math.log(total) + most - own;
}

function solve(
  rows: SparseRows,
  targets: Int32Array,
  lines: number,
  { inverseRegularization = 1, rowWeights, ...options }: LogisticRegressionOptions,
): Minimum {
  const { starts, columns, values, width } = rows;
  const count = targets.length;
  const total = rowWeights?.reduce((a, b) => a + b, 0) ?? count;
  const decay = 1 / (inverseRegularization * total);
  const intercepts = width * lines;
  const scores = new Float64Array(count * lines);
  // The mean of losses, so that the tolerance means the same for any number of rows.
  return minimize(
    (x, gradient) => {
      scoresOf(rows, x, lines, scores);
      let squares = 0;
      for (let i = 0; i < intercepts; i++) {
        squares += x[i] * x[i];
        gradient[i] = decay * x[i];
      }
      gradient.fill(0, intercepts);
      let loss = 0;
      for (let row = 0; row < count; row++) {
        const share = (rowWeights?.[row] ?? 1) / total;
        loss += share * rowLoss(scores, row * lines, lines, targets[row]);
        for (let line = 0; line < lines; line++) {
          scores[row * lines + line] *= share;
          gradient[intercepts + line] += scores[row * lines + line];
        }
        for (let at = starts[row]; at < starts[row + 1]; at++) {
          const to = columns[at] * lines;
          for (let line = 0; line < lines; line++) gradient[to + line] += values[at] * scores[row * lines + line];
        }
      }
      return loss + (decay / 2) * squares;
    },
    new Float64Array(intercepts + lines),
    options,
  );
}

/**
 * Minimises the regularised logistic loss by L-BFGS; intercepts are not regularised.
 *
 * @param targets the class of each row, from 0 on
 * @param classes at least 2
 */
export function fitLogisticRegression(
  rows: SparseRows,
  targets: Int32Array,
  classes: number,
  options: LogisticRegressionOptions = {},
): LogisticRegressionFit {
  const { scheme = "multinomial", inverseRegularization = 1, rowWeights } = options;
  const total = rowWeights?.reduce((a, b) => a + b, 0) ?? targets.length;
  const separate = scheme === "one-vs-rest" && classes > 2;
  const lines = classes === 2 ? 1 : classes;
  const minima = separate
    ? Array.from({ length: classes }, (_, own) =>
        solve(
          rows,
          targets.map((target) => Number(target === own)),
          1,
          options,
        ),
      )
    : [solve(rows, targets, lines, options)];
  const { width } = rows;
  const joined = separate
    ? Float64Array.from({ length: (width + 1) * lines }, (_, i) => minima[i % lines].x[Math.floor(i / lines)])
    : minima[0].x;
  return {
    classifier: {
      scheme,
      classes,
      coefficients: joined.slice(0, width * lines),
      intercepts: joined.slice(width * lines),
    },
    losses: minima.map(({ value }) => value * total * inverseRegularization),
    iterations: Math.max(...minima.map(({ iterations }) => iterations)),
    converged: minima.every(({ converged }) => converged),
  };
}

const logistic = (x: number): number => 1 / (1 + Math.exp(-x));

/** The probability of each class for each row. [rows, classes] */
export function classProbabilities(rows: SparseRows, classifier: LinearClassifier): Float64Array[] {
  const { scheme, classes, coefficients, intercepts } = classifier;
  const lines = intercepts.length;
  const count = rows.starts.length - 1;
  const x = new Float64Array(coefficients.length + lines);
  x.set(coefficients);
  x.set(intercepts, coefficients.length);
  const scores = new Float64Array(count * lines);
  scoresOf(rows, x, lines, scores);
  return Array.from({ length: count }, (_, row) => {
    const own = scores.subarray(row * lines, (row + 1) * lines);
    if (lines === 1) return Float64Array.of(logistic(-own[0]), logistic(own[0]));
    const most = Math.max(...own);
    const each = own.map((score) => (scheme === "one-vs-rest" ? logistic(score) : Math.exp(score - most)));
    const total = each.reduce((a, b) => a + b, 0);
    // One-vs-rest: so far below the line that all are 0 says nothing.
    return each.map((value) => (total > 0 ? value / total : 1 / classes));
  });
}
