// Vectors of phrases as an axis takes them: of their sentences, as they are, averaged.
import { noGrad, scope } from "@cloze/tensor";
import type { Embedder } from "../embedder.js";
import type { TextCounts } from "../text-roles.js";
import { fillTemplate } from "./templates.js";

/** What embeds texts for an axis. */
export type PhraseEncoder = Pick<Embedder, "embed" | "width">;

/**
 * Vectors of texts in double precision, not scaled to length 1; equal texts are embedded once. [texts][width]
 *
 * @param counts receives what was cut of texts that are longer than the encoder reads
 */
export function rawVectors(embedder: PhraseEncoder, texts: readonly string[], counts?: TextCounts): Float64Array[] {
  const places = new Map<string, number>();
  for (const text of texts) if (!places.has(text)) places.set(text, places.size);
  const { width } = embedder;
  return scope(() =>
    noGrad(() => {
      const values = embedder.embed([...places.keys()], { normalize: false, counts }).toTypedArray() as Float32Array;
      return texts.map((text) => {
        const row = places.get(text) as number;
        return Float64Array.from(values.subarray(row * width, (row + 1) * width));
      });
    }),
  );
}

/**
 * The vector of each phrase: the mean over the templates of its sentences' vectors; of the phrase itself without templates.
 * [phrases][width]
 */
export function phraseVectors(
  embedder: PhraseEncoder,
  phrases: readonly string[],
  templates: readonly string[],
  counts?: TextCounts,
): Float64Array[] {
  const ways = templates.length === 0 ? [gapAlone] : templates;
  const vectors = rawVectors(
    embedder,
    phrases.flatMap((phrase) => ways.map((template) => fillTemplate(template, phrase))),
    counts,
  );
  return phrases.map((_, p) => {
    const mean = new Float64Array(embedder.width);
    for (let t = 0; t < ways.length; t++) {
      const vector = vectors[p * ways.length + t];
      for (let c = 0; c < mean.length; c++) mean[c] += vector[c] / ways.length;
    }
    return mean;
  });
}

/** The template of a phrase by itself. */
const gapAlone = "{}";
