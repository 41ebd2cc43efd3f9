// BERT-QE (Zheng 2020, arXiv 2009.07258): documents are scored by the query and by the pieces of the first documents that answer
// it best.
import { cutPassages } from "../rerank/passages.js";

/** Scores of documents for a query: logits or probabilities. */
export type PairScores = (query: string, documents: readonly string[]) => ArrayLike<number>;

export interface BertQeOptions {
  /** Weight of what the chunks say, 0 to 1. Default 0.4. */
  chunkWeight?: number;
  /** Documents that chunks are taken of; 10 unless told. */
  feedbackDocuments?: number;
  /** Chunks that are kept; 10 unless told. */
  chunks?: number;
  /** Words of a chunk, and from one's beginning to the next one's; 10 and 5 unless told. */
  words?: number;
  stride?: number;
}

/** A piece of a document that was found, and how well it answers the query. */
export interface FeedbackChunk {
  readonly text: string;
  readonly score: number;
}

/** softmax; with probabilities, as the released code has it, weights differ by a factor of e at most. */
function softmax(scores: readonly number[]): number[] {
  const largest = Math.max(...scores);
  const parts = scores.map((score) => Math.exp(score - largest));
  const total = parts.reduce((sum, part) => sum + part, 0);
  return parts.map((part) => part / total);
}

/** Phase 2: the chunks of the first documents that score best for the query. @param documents best first */
export function bertQeChunks(
  query: string,
  documents: readonly string[],
  rel: PairScores,
  { feedbackDocuments = 10, chunks = 10, words = 10, stride = 5 }: BertQeOptions = {},
): FeedbackChunk[] {
  const cut = { words, stride, most: Number.POSITIVE_INFINITY };
  const texts = documents.slice(0, feedbackDocuments).flatMap((text) => cutPassages(text, cut));
  if (texts.length === 0) return [];
  const scores = rel(query, texts);
  return texts
    .map((text, i) => ({ text, score: scores[i] }))
    .sort((a, b) => b.score - a.score)
    .slice(0, chunks);
}

/**
 * Phase 3: (1 - a) rel(q, d) + a x the sum over chunks of softmax(rel(q, c)) rel(c, d), for each document. The three phases may
 * have models of different size.
 *
 * @param scores rel(q, d) of phase 1, in the order of `documents`
 * @param rel reads a chunk as a query
 */
export function bertQeScores(
  documents: readonly string[],
  scores: ArrayLike<number>,
  chunks: readonly FeedbackChunk[],
  rel: PairScores,
  { chunkWeight = 0.4 }: BertQeOptions = {},
): Float64Array {
  const result = Float64Array.from(documents, (_, d) => scores[d]);
  if (chunks.length === 0 || chunkWeight === 0) return result;
  const weights = softmax(chunks.map(({ score }) => score));
  const byChunks = new Float64Array(documents.length);
  for (const [c, { text }] of chunks.entries()) {
    const found = rel(text, documents);
    for (let d = 0; d < documents.length; d++) byChunks[d] += weights[c] * found[d];
  }
  return result.map((score, d) => (1 - chunkWeight) * score + chunkWeight * byChunks[d]);
}
