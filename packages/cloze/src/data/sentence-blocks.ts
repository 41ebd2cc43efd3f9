// Long documents as blocks of whole sentences ("greedy sentence filling", SMITH, arXiv 2004.12297).
import { type PackedBatch, packSequences } from "./packed-batch.js";

export interface BlockLimits {
  /** Tokens of a block with its three special ones: [CLS] words [SEP] [SEP]. */
  readonly block: number;
  /** Blocks of a document at most. */
  readonly maxBlocks: number;
}

/** The blocks of a document, without special tokens, and what did not fit. */
export interface SentenceBlocks {
  readonly blocks: readonly Int32Array[];
  /** Tokens left out: the ends of sentences that are longer than a block, and what stands behind the last block. */
  readonly droppedTokens: number;
}

/** [CLS] and two [SEP]. */
export const blockFrame = 3;

/**
 * Fills blocks with whole sentences: one that does not fit begins the next block, and is cut only where it is longer than a
 * block. A document without words is one empty block.
 *
 * @param sentences ids without special tokens
 * @example
 * fillBlocks(sentences, { block: 32, maxBlocks: 64 }).blocks; // at most 29 ids each
 */
export function fillBlocks(sentences: Iterable<Int32Array>, { block, maxBlocks }: BlockLimits): SentenceBlocks {
  const room = block - blockFrame;
  const blocks: number[][] = [];
  let droppedTokens = 0;
  let full = false;
  for (const sentence of sentences) {
    if (sentence.length === 0) continue;
    const last = blocks.at(-1);
    if (last === undefined || last.length + sentence.length > room) {
      // A later, shorter sentence may not come back into the last block: it would stand out of its place.
      full ||= blocks.length === maxBlocks;
      if (!full) blocks.push([]);
    }
    if (!full) blocks[blocks.length - 1].push(...sentence.subarray(0, room));
    droppedTokens += full ? sentence.length : Math.max(0, sentence.length - room);
  }
  if (blocks.length === 0) blocks.push([]);
  return { blocks: blocks.map((ids) => Int32Array.from(ids)), droppedTokens };
}

/** A block as the encoder reads it: [CLS] words [SEP] [SEP]. */
export const blockSequence = (
  words: Int32Array,
  { clsId, sepId }: { readonly clsId: number; readonly sepId: number },
): Int32Array => Int32Array.from([clsId, ...words, sepId, sepId]);

/** Blocks of several documents in one batch: the blocks are its sequences. */
export interface BlockBatch extends PackedBatch {
  /** Where the blocks of each document begin. [documents + 1] */
  readonly documents: Int32Array;
}

/** Packs the blocks of documents, in their order. Positions count anew in each block. */
export function packBlocks(documents: readonly (readonly Int32Array[])[]): BlockBatch {
  const ends = new Int32Array(documents.length + 1);
  documents.forEach((blocks, i) => {
    ends[i + 1] = ends[i] + blocks.length;
  });
  return { ...packSequences(documents.flat().map((ids) => ({ ids }))), documents: ends };
}

/**
 * Pairs of tokens that look at each other, and of blocks: n B + (n / B)^2 for n tokens in blocks of B, where one sequence
 * has n^2.
 */
export function attentionPairs({ offsets, documents }: Pick<BlockBatch, "offsets" | "documents">): number {
  const squares = (ends: Int32Array) => {
    let total = 0;
    for (let i = 0; i + 1 < ends.length; i++) total += (ends[i + 1] - ends[i]) ** 2;
    return total;
  };
  return squares(offsets) + squares(documents);
}
