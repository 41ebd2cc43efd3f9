import { packSequences } from "../data/packed-batch.js";
import { randomSource } from "../data/random-source.js";
import { type ObjectiveVocabulary, parseObjective } from "../objectives/index.js";
import { maskTokens } from "../objectives/masking.js";
import { documentFrequencies, globalCandidates, replacementOf } from "../objectives/replacements.js";

/**
 * Of the tokens that an objective puts in place of others, the share that TF-IDF has among its candidates, and the
 * candidates' share of the vocabulary.
 *
 * @param objective masked words or masked pairs, with their options
 */
export function replacementShare(
  objective: { readonly type: string; readonly [option: string]: unknown },
  documents: readonly ArrayLike<number>[],
  vocabulary: ObjectiveVocabulary,
  seed: number,
): { candidates: number; expected: number } {
  const config = parseObjective(objective);
  if (!("replacement" in config)) throw new Error(`${config.type} replaces no tokens by others`);
  const counts = documentFrequencies(documents, vocabulary.vocabularySize);
  const known = new Set(globalCandidates(counts, vocabulary, config));
  const replacement = replacementOf(config, { vocabulary, texts: () => documents });
  const { batch, rows } = maskTokens(
    packSequences(documents.slice(0, 500).map((ids) => ({ ids: Int32Array.from(ids) }))),
    vocabulary,
    randomSource(seed, 6),
    { rate: 0.5, maskShare: 0, randomShare: 1, replacement },
  );
  return {
    candidates: rows.filter((row) => known.has(batch.ids[row])).length / rows.length,
    expected: known.size / vocabulary.vocabularySize,
  };
}
