// An embedder as retrieval wants it; texts that it had to cut are counted.
import { scope } from "@cloze/tensor";
import type { DataWarnings } from "../data/readers/warnings.js";
import type { Embedder } from "../embedding/embedder.js";
import { emptyCounts } from "../embedding/text-roles.js";
import type { TextVectors } from "../retrieval/pipeline/text-vectors.js";

/** Texts to vectors by an embedder. */
export const vectorsOf = (
  embedder: Embedder,
  { tokenBudget, warnings }: { tokenBudget?: number; warnings?: DataWarnings } = {},
): TextVectors => ({
  width: embedder.width,
  embed(texts, role) {
    const counts = emptyCounts();
    const vectors = scope(() => embedder.embed(texts, { role, tokenBudget, counts }).toTypedArray() as Float32Array);
    if (counts.truncatedTexts > 0) {
      const message = `texts longer than ${embedder.options.maxLength} tokens; their vectors are of their beginnings`;
      warnings?.add("TEXT_CUT", message, `${role}s`, counts.truncatedTexts);
    }
    return vectors;
  },
});
