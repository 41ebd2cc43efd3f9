// A probe: what a simple classifier reads from frozen vectors.
import { matmul, noGrad, scope, tensor, transpose } from "@cloze/tensor";
import { ClozeError } from "../../errors.js";
import { topScores } from "../../retrieval/top-scores.js";
import { classProbabilities, denseRows, fitLogisticRegression } from "../../tasks/logistic-regression.js";
import { type EmbeddingEvaluator, unitRows, vectorsOfTexts } from "./evaluator.js";

/** A text and its class. */
export interface LabelledText {
  readonly text: string;
  readonly label: string;
}

export interface ProbeOptions {
  /** "logistic": logistic regression; "knn": the classes of the nearest by cosine. Default "logistic". */
  method?: "logistic" | "knn";
  /** Neighbours of "knn". Default 11. */
  k?: number;
}

/**
 * The class that most of the k nearest rows have; of classes with as many the one of the nearest row.
 *
 * @param train rows of length 1
 * @param test rows of length 1
 */
export function nearestClasses(
  train: Float32Array,
  labels: readonly number[],
  test: Float32Array,
  width: number,
  k: number,
): number[] {
  const found: number[] = [];
  const block = 256;
  for (let start = 0; start * width < test.length; start += block) {
    scope(() =>
      noGrad(() => {
        const part = test.subarray(start * width, (start + block) * width);
        const rows = part.length / width;
        const known = tensor(train, [labels.length, width]);
        const scores = matmul(tensor(part, [rows, width]), transpose(known)).toTypedArray() as Float32Array;
        for (let row = 0; row < rows; row++) {
          const own = scores.subarray(row * labels.length, (row + 1) * labels.length);
          const votes = new Map<number, number>();
          // In order from the nearest: the first class that reaches the most votes wins a tie by standing first in the map.
          for (const { index } of topScores(own, k)) votes.set(labels[index], (votes.get(labels[index]) ?? 0) + 1);
          found.push([...votes].reduce((best, vote) => (vote[1] > best[1] ? vote : best))[0]);
        }
      }),
    );
  }
  return found;
}

/** Accuracy and macro F1 of predicted classes. */
function classScores(truth: readonly number[], found: readonly number[], classes: number) {
  const right = truth.filter((label, i) => label === found[i]).length;
  let total = 0;
  let present = 0;
  for (let one = 0; one < classes; one++) {
    const hits = truth.filter((label, i) => label === one && found[i] === one).length;
    const all = truth.filter((label) => label === one).length + found.filter((label) => label === one).length;
    if (all === 0) continue;
    present++;
    total += (2 * hits) / all;
  }
  return { accuracy: right / truth.length, macroF1: total / present };
}

/**
 * Accuracy and macro F1 of a classifier on frozen vectors, fitted on `train` and asked about `test`.
 *
 * @throws LABELS_ONE_CLASS, DATA_EMPTY
 */
export const classificationEvaluator = (
  train: readonly LabelledText[],
  test: readonly LabelledText[],
  { method = "logistic", k = 11 }: ProbeOptions = {},
): EmbeddingEvaluator => ({
  name: "classification",
  headline: "accuracy",
  async evaluate(embedder) {
    const names = [...new Set(train.map(({ label }) => label))].sort();
    if (names.length < 2) {
      throw new ClozeError("LABELS_ONE_CLASS", "The training rows hold one label only, or none", {
        received: names.join(", ") || "none",
      });
    }
    if (test.length === 0) throw new ClozeError("DATA_EMPTY", "There is no row to test on");
    const { width } = embedder;
    const vectors = async (rows: readonly LabelledText[]) =>
      unitRows(
        await vectorsOfTexts(
          embedder,
          rows.map(({ text }) => text),
        ),
        width,
      );
    const [known, asked] = [await vectors(train), await vectors(test)];
    // A class that training lacks can only be missed.
    const number = new Map(names.map((name, i) => [name, i]));
    const targets = train.map(({ label }) => number.get(label) as number);
    const truth = test.map(({ label }) => number.get(label) ?? names.length);
    if (method === "knn") return classScores(truth, nearestClasses(known, targets, asked, width, k), names.length + 1);
    const { classifier } = fitLogisticRegression(denseRows(known, width), Int32Array.from(targets), names.length, {
      inverseRegularization: 1,
      iterations: 100,
      tolerance: 1e-4,
    });
    const found = classProbabilities(denseRows(asked, width), classifier).map((row) => row.indexOf(Math.max(...row)));
    return classScores(truth, found, names.length + 1);
  },
});
