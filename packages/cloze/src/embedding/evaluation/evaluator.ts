// What scores an embedder.

import type { Embedder, EmbedOptions } from "../embedder.js";
import { checkFinite } from "../vectors/finite.js";

/** Scores by their names. */
export type EmbeddingScores = Readonly<Record<string, number>>;

/** Data that an embedder can be scored on, again and again. */
export interface EmbeddingEvaluator<Encoder = Embedder> {
  /** "sts", "retrieval" … */
  readonly name: string;
  /** The score that decides between embedders; more is better. */
  readonly headline: string;
  evaluate(embedder: Encoder): Promise<EmbeddingScores>;
}

/** Vectors of texts, [texts, width]; each different text is embedded once. @throws EMBEDDER_NOT_FINITE */
export async function vectorsOfTexts(
  embedder: Embedder,
  texts: readonly string[],
  options: EmbedOptions = {},
): Promise<Float32Array> {
  const { width } = embedder;
  const places = new Map<string, number>();
  for (const text of texts) if (!places.has(text)) places.set(text, places.size);
  const different = await embedder.embedAsync([...places.keys()], options);
  try {
    const values = checkFinite(different.toTypedArray() as Float32Array, width);
    if (places.size === texts.length) return values;
    const all = new Float32Array(texts.length * width);
    texts.forEach((text, i) => {
      const from = (places.get(text) as number) * width;
      all.set(values.subarray(from, from + width), i * width);
    });
    return all;
  } finally {
    different.dispose();
  }
}

/** Rows of a matrix, scaled to length 1; zero rows stay zero. */
export function unitRows(vectors: Float32Array, width: number): Float32Array {
  const result = vectors.slice();
  for (let start = 0; start < result.length; start += width) {
    let squares = 0;
    for (let c = start; c < start + width; c++) squares += result[c] * result[c];
    const scale = squares > 0 ? 1 / Math.sqrt(squares) : 0;
    for (let c = start; c < start + width; c++) result[c] *= scale;
  }
  return result;
}
