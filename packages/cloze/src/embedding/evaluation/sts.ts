// Similarity of pairs: how well cosines are ordered as people order the pairs.
import { pearsonCorrelation, spearmanCorrelation } from "../../metrics/index.js";
import type { Embedder } from "../embedder.js";
import { type EmbeddingEvaluator, unitRows, vectorsOfTexts } from "./evaluator.js";

/** Two texts and how alike people find them. */
export interface ScoredPair {
  readonly first: string;
  readonly second: string;
  readonly score: number;
}

/** Cosine of each pair; 0 where a vector is zero. */
export async function pairCosines(
  embedder: Embedder,
  pairs: readonly Omit<ScoredPair, "score">[],
): Promise<Float64Array> {
  const texts = pairs.flatMap(({ first, second }) => [first, second]);
  const vectors = unitRows(await vectorsOfTexts(embedder, texts), embedder.width);
  const { width } = embedder;
  return Float64Array.from(pairs, (_, i) => {
    let dot = 0;
    for (let c = 0; c < width; c++) dot += vectors[2 * i * width + c] * vectors[(2 * i + 1) * width + c];
    return dot;
  });
}

/**
 * Spearman's and Pearson's correlation of cosines with scores.
 *
 * @example
 * await trainEmbedder(embedder, rows, { loss: "cosent", epochs: 4, dev: stsEvaluator(pairs) });
 */
export const stsEvaluator = (pairs: readonly ScoredPair[]): EmbeddingEvaluator => ({
  name: "sts",
  headline: "spearman",
  async evaluate(embedder) {
    const cosines = await pairCosines(embedder, pairs);
    const scores = pairs.map(({ score }) => score);
    return { spearman: spearmanCorrelation(scores, cosines), pearson: pearsonCorrelation(scores, cosines) };
  },
});
