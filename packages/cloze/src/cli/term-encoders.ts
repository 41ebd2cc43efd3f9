// Encoders of texts as weighted terms of a vocabulary, by their folders. A new kind is a line here.
import { isSparseEncoderFolder, loadSparseEncoder } from "../embedding/sparse-encoder/sparse-encoder-folder.js";
import type { TextCounts } from "../embedding/text-roles.js";
import type { SparseVector } from "../retrieval/learned-sparse/impact-index.js";
import { isEpicFolder, loadEpic } from "../retrieval/term-weighting/epic-folder.js";

/** Texts to weighted terms; relevance is the inner product of a query's and a document's. */
export interface TermEncoder {
  encode(
    texts: readonly string[],
    options?: { role?: "query" | "document"; tokenBudget?: number; counts?: TextCounts },
  ): SparseVector[];
  dispose(): void;
}

interface TermEncoderKind {
  recognises(folder: string): boolean;
  load(folder: string): TermEncoder;
}

const kinds: readonly TermEncoderKind[] = [
  { recognises: isEpicFolder, load: loadEpic },
  { recognises: isSparseEncoderFolder, load: loadSparseEncoder },
];

/** Whether a folder holds an encoder of weighted terms, not a plain model. */
export const isTermEncoderFolder = (folder: string): boolean => kinds.some(({ recognises }) => recognises(folder));

/**
 * Opens an encoder of weighted terms; of a masked language model, SPLADE.
 *
 * @throws what `loadEpic` and `loadSparseEncoder` throw
 */
export const loadTermEncoder = (folder: string): TermEncoder =>
  (kinds.find(({ recognises }) => recognises(folder))?.load ?? loadSparseEncoder)(folder);
