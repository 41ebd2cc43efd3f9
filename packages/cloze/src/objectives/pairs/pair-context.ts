// What stands around the second text of a pair, as a third text (contextual answer-sentence selection, arXiv 2305.15358).
import type { DocumentSource } from "../../data/document-source.js";
import type { RandomSource } from "../../data/random-source.js";
import type { StructuralPair } from "./paragraph-pairs.js";

/** The first paragraph of the text's document (SDC), any of it (DDC), or the sentences before and after the text (DSLC). */
export const pairContexts = ["static", "dynamic", "local"] as const;
export type PairContext = (typeof pairContexts)[number];

/**
 * The context of a pair's second text; empty where there is none. Sentences of the pair's own texts are left out of it, so that
 * the answer does not stand there.
 */
export function contextOf(
  { from, to, fromSentences, toSentences }: StructuralPair,
  documents: DocumentSource,
  context: PairContext,
  random: RandomSource,
): Int32Array {
  const paragraphs = documents.document(to[0]).sections.flat();
  const number = context === "static" ? 0 : context === "dynamic" ? Math.floor(random() * paragraphs.length) : to[1];
  const { sentences } = paragraphs[number];
  /** Whether a sentence of the context's paragraph belongs to a text. Without a range all of the text's paragraph does. */
  const inside = (sentence: number, place: readonly [number, number], range: readonly [number, number] | undefined) =>
    place[0] === to[0] && place[1] === number && (range === undefined || (sentence >= range[0] && sentence < range[1]));
  const near = (sentence: number): boolean =>
    context !== "local" ||
    (toSentences !== undefined && (sentence === toSentences[0] - 1 || sentence === toSentences[1]));
  const kept = sentences.filter((_, s) => near(s) && !inside(s, from, fromSentences) && !inside(s, to, toSentences));
  return Int32Array.from(kept.flatMap((ids) => [...ids]));
}
