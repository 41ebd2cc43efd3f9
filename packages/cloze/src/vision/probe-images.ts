// What a linear classifier reads from a frozen encoder of images.
import { type ImageSet, imagenetStatistics, type PixelStatistics } from "../data/images/image-set.js";
import { ClozeError } from "../errors.js";
import { classProbabilities, denseRows, fitLogisticRegression } from "../tasks/logistic-regression.js";
import type { Convnet } from "./convnet.js";
import { imageVectors, labelsOf } from "./image-vectors.js";

export interface ProbeImagesOptions {
  /** What pixels are normalised with. Default: ImageNet's. */
  readonly statistics?: PixelStatistics;
}

/** Columns less the means of `known`, divided by their deviations there. Both in place. */
function standardize(known: Float32Array, asked: Float32Array, width: number): void {
  const rows = known.length / width;
  for (let column = 0; column < width; column++) {
    let [total, squares] = [0, 0];
    for (let at = column; at < known.length; at += width) total += known[at];
    const mean = total / rows;
    for (let at = column; at < known.length; at += width) squares += (known[at] - mean) ** 2;
    const scale = 1 / (Math.sqrt(squares / rows) || 1);
    for (const values of [known, asked]) {
      for (let at = column; at < values.length; at += width) values[at] = (values[at] - mean) * scale;
    }
  }
}

/**
 * Accuracy on `test` of a logistic regression on the pooled features of a frozen encoder, fitted on `train`.
 *
 * @throws LABELS_MISSING, LABELS_ONE_CLASS
 * @example
 * const accuracy = probeImages(loadConvnet("encoder"), labelled, test);
 */
export function probeImages(
  net: Convnet,
  train: ImageSet,
  test: ImageSet,
  { statistics = imagenetStatistics }: ProbeImagesOptions = {},
): number {
  const names = [...new Set(labelsOf(train))].sort((a, b) => a - b);
  const truth = labelsOf(test);
  if (names.length < 2) {
    throw new ClozeError("LABELS_ONE_CLASS", "The training images are of one class only, or there are none", {
      received: names.join(", ") || "none",
    });
  }
  const width = net.widths[net.widths.length - 1];
  const [known, asked] = [train, test].map((images) => imageVectors(net, images, statistics));
  standardize(known, asked, width);
  const targets = labelsOf(train).map((label) => names.indexOf(label));
  const { classifier } = fitLogisticRegression(denseRows(known, width), targets, names.length, {
    iterations: 200,
    tolerance: 1e-4,
  });
  const found = classProbabilities(denseRows(asked, width), classifier).map(
    (row) => names[row.indexOf(Math.max(...row))],
  );
  return found.filter((label, i) => label === truth[i]).length / truth.length;
}
