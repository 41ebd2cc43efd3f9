// Clustering: whether texts of a class fall into a cluster.
import { ClozeError } from "../../errors.js";
import type { LabelledText } from "./classification.js";
import { type EmbeddingEvaluator, vectorsOfTexts } from "./evaluator.js";
import { type KMeansOptions, kMeans } from "./k-means.js";

const entropy = (counts: Iterable<number>, total: number): number => {
  let sum = 0;
  for (const count of counts) if (count > 0) sum -= (count / total) * Math.log(count / total);
  return sum;
};

const countsOf = <Key>(keys: Iterable<Key>): Map<Key, number> => {
  const counts = new Map<Key, number>();
  for (const key of keys) counts.set(key, (counts.get(key) ?? 0) + 1);
  return counts;
};

/** How well clusters are classes. */
export interface ClusterAgreement {
  /** Each cluster holds one class only: 1 - H(class | cluster) / H(class). */
  readonly homogeneity: number;
  /** Each class lies in one cluster only: 1 - H(cluster | class) / H(cluster). */
  readonly completeness: number;
  /** The harmonic mean of both (Rosenberg and Hirschberg 2007). */
  readonly vMeasure: number;
}

/** Homogeneity, completeness and V-measure, as scikit-learn computes them: a side without entropy counts as 1. */
export function vMeasure(classes: readonly string[], clusters: ArrayLike<number>): ClusterAgreement {
  const total = classes.length;
  const own = Array.from(clusters as ArrayLike<number>);
  const ofClasses = entropy(countsOf(classes).values(), total);
  const ofClusters = entropy(countsOf(own).values(), total);
  const joint = entropy(countsOf(classes.map((name, i) => `${own[i]} ${name}`)).values(), total);
  const shared = ofClasses + ofClusters - joint;
  const homogeneity = ofClasses > 0 ? shared / ofClasses : 1;
  const completeness = ofClusters > 0 ? shared / ofClusters : 1;
  const sum = homogeneity + completeness;
  return { homogeneity, completeness, vMeasure: sum > 0 ? (2 * homogeneity * completeness) / sum : 0 };
}

/**
 * k-means on the vectors, with as many clusters as there are classes, against the classes.
 *
 * @throws LABELS_ONE_CLASS
 */
export const clusteringEvaluator = (
  rows: readonly LabelledText[],
  options: KMeansOptions = {},
): EmbeddingEvaluator => ({
  name: "clustering",
  headline: "vMeasure",
  async evaluate(embedder) {
    const classes = rows.map(({ label }) => label);
    const count = new Set(classes).size;
    if (count < 2) {
      throw new ClozeError("LABELS_ONE_CLASS", "Clusters are compared with classes, of which there must be two", {
        received: String(count),
      });
    }
    const vectors = await vectorsOfTexts(
      embedder,
      rows.map(({ text }) => text),
    );
    return { ...vMeasure(classes, kMeans(vectors, embedder.width, count, options).assignment) };
  },
});
