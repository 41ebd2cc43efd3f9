// Pairs that are alike or not: how well cosines tell them apart.
import { bestThreshold, rocAuc } from "../../metrics/index.js";
import { type EmbeddingEvaluator, unitRows, vectorsOfTexts } from "./evaluator.js";

/** Two texts, and 1 where they are alike, 0 where not. */
export interface BinaryPair {
  readonly first: string;
  readonly second: string;
  readonly label: number;
  /** The field of both, where the embedder has fields. */
  readonly field?: string;
}

/**
 * Of cosines against the labels: the largest F1 over all thresholds with its threshold, the area under the ROC curve, and the
 * mean cosine of alike pairs and of the others. A constant scores 2/3 in F1 where there are as many of both: that is nothing.
 *
 * @example
 * const { f1Max, rocAuc } = await binaryPairEvaluator(pairs).evaluate(embedder);
 */
export const binaryPairEvaluator = (pairs: readonly BinaryPair[]): EmbeddingEvaluator => ({
  name: "pairs",
  headline: "f1Max",
  async evaluate(embedder) {
    const { width } = embedder;
    const cosines = new Float64Array(pairs.length);
    for (const field of new Set(pairs.map((pair) => pair.field))) {
      const places = [...pairs.keys()].filter((i) => pairs[i].field === field);
      const texts = places.flatMap((i) => [pairs[i].first, pairs[i].second]);
      const vectors = unitRows(await vectorsOfTexts(embedder, texts, { field }), width);
      places.forEach((place, row) => {
        for (let c = 0; c < width; c++) {
          cosines[place] += vectors[2 * row * width + c] * vectors[(2 * row + 1) * width + c];
        }
      });
    }
    const labels = pairs.map(({ label }) => label);
    const best = bestThreshold(labels, cosines);
    const meanOf = (wanted: number): number => {
      const own = cosines.filter((_, i) => labels[i] === wanted);
      return own.reduce((sum, cosine) => sum + cosine, 0) / own.length;
    };
    return {
      f1Max: best.score,
      threshold: best.threshold,
      rocAuc: rocAuc(labels, cosines),
      positiveMean: meanOf(1),
      negativeMean: meanOf(0),
    };
  },
});
