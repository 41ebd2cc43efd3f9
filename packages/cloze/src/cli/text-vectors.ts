// An embedder as retrieval wants it; texts that it had to cut are counted.
import { scope } from "@cloze/tensor";
import type { DataWarnings } from "../data/readers/warnings.js";
import { type Embedder, searchedAsUnit } from "../embedding/embedder.js";
import { emptyCounts } from "../embedding/text-roles.js";
import { checkFinite } from "../embedding/vectors/index.js";
import type { TextVectors } from "../retrieval/pipeline/text-vectors.js";

/**
 * Texts to vectors by an embedder, for inner products: where the model compares by cosines they have length 1, whether or
 * not its last step is to scale them.
 */
export const vectorsOf = (
  embedder: Embedder,
  { tokenBudget, warnings }: { tokenBudget?: number; warnings?: DataWarnings } = {},
): TextVectors => ({
  width: embedder.width,
  embed(texts, role) {
    const counts = emptyCounts();
    const { similarity } = embedder.options;
    const normalize = searchedAsUnit(embedder.options);
    const embedded = () => embedder.embed(texts, { role, tokenBudget, counts, normalize });
    const vectors = checkFinite(
      scope(() => embedded().toTypedArray() as Float32Array),
      embedder.width,
    );
    if (similarity === "euclidean" || similarity === "manhattan")
      warnings?.add(
        "SIMILARITY_OTHER",
        `texts of a model that compares by ${similarity} distances, not by inner products`,
        `${role}s`,
        texts.length,
      );
    if (counts.truncatedTexts > 0) {
      const message = `texts longer than ${embedder.options.maxLength} tokens; their vectors are of their beginnings`;
      warnings?.add("TEXT_CUT", message, `${role}s`, counts.truncatedTexts);
    }
    return vectors;
  },
});
