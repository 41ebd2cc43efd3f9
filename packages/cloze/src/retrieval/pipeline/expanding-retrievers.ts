// BM25 over documents in memory with queries that what was found first makes longer.
import type { Bm25Index } from "../bm25.js";
import { type CeqeExpansionOptions, ceqeExpansion } from "./feedback/ceqe.js";
import { type FeedbackEncoder, searchTwice } from "./feedback/feedback-expansion.js";
import { rm3Expansion } from "./feedback/rm3.js";
import type { Retriever } from "./retriever.js";
import type { Rm3Options } from "./rm3.js";
import { memoryWordIndex } from "./word-index.js";

/**
 * BM25 with RM3.
 *
 * @param ids of the index's documents
 * @param texts of the index's documents, by their places
 */
export const rm3Retriever = (
  index: Bm25Index,
  ids: readonly string[],
  texts: (document: number) => string,
  options: Rm3Options = {},
): Retriever => searchTwice(memoryWordIndex(index, ids, texts), rm3Expansion(options));

export type CeqeRetrieverOptions = CeqeExpansionOptions;

/** BM25 with CEQE; words are the index's own terms. @param encoder whose states are compared, with its tokenizer */
export const ceqeRetriever = (
  index: Bm25Index,
  ids: readonly string[],
  texts: (document: number) => string,
  encoder: FeedbackEncoder,
  options: CeqeRetrieverOptions = {},
): Retriever => searchTwice(memoryWordIndex(index, ids, texts), ceqeExpansion(encoder, options));
