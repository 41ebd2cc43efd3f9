// Texts that say nearly the same.
import type { Embedder } from "../embedder.js";
import { unitRows, vectorsOfTexts } from "../evaluation/evaluator.js";
import { forEachNeighbours } from "./neighbours.js";

export interface DuplicateOptions {
  /** Cosine from which two texts are duplicates. Default 0.95. */
  threshold?: number;
}

/** A text that an earlier one stands for. */
export interface Duplicate {
  /** Position of the text, and of the earlier one that is kept. */
  readonly index: number;
  readonly of: number;
  readonly cosine: number;
}

/**
 * Goes through texts in order: one that is nearer to a kept text than the threshold is a duplicate (of the nearest such), every
 * other one is kept. Each pair is compared: 100,000 texts take some minutes.
 *
 * @example
 * const { kept } = await findDuplicates(embedder, texts, { threshold: 0.9 });
 * const different = kept.map((i) => texts[i]);
 */
export async function findDuplicates(
  embedder: Embedder,
  texts: readonly string[],
  { threshold = 0.95 }: DuplicateOptions = {},
): Promise<{ kept: number[]; duplicates: Duplicate[] }> {
  const vectors = unitRows(await vectorsOfTexts(embedder, texts), embedder.width);
  const found = new Map<number, Duplicate>();
  // Later texts come in order, and all earlier ones before them: what is no duplicate by then is kept.
  forEachNeighbours(vectors, embedder.width, threshold, (earlier, later, cosine) => {
    if (found.has(earlier)) return;
    const known = found.get(later);
    if (known === undefined || cosine > known.cosine) found.set(later, { index: later, of: earlier, cosine });
  });
  return {
    kept: texts.map((_, i) => i).filter((i) => !found.has(i)),
    duplicates: [...found.values()].sort((a, b) => a.index - b.index),
  };
}
