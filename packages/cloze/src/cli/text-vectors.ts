// An embedder as retrieval wants it, with progress.
import { scope } from "@cloze/tensor";
import type { Embedder } from "../embedding/embedder.js";
import type { TextVectors } from "../retrieval/pipeline/text-vectors.js";

/** Texts to vectors by an embedder. */
export const vectorsOf = (embedder: Embedder, { tokenBudget }: { tokenBudget?: number } = {}): TextVectors => ({
  width: embedder.width,
  embed: (texts, role) => scope(() => embedder.embed(texts, { role, tokenBudget }).toTypedArray() as Float32Array),
});
