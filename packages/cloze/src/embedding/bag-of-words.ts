// Bags of words: a text's vector has a number for each word of a list, the weights of its occurrences.
import { reshape, scatterRows, type Tensor, take, tensor, zeros } from "@cloze/tensor";
import type { TextBatch } from "./embedder.js";

/** How the words of a text become its vector, instead of a pooling. */
export interface BagOfWords {
  /** Words of the list: the length of a vector. */
  readonly words: number;
  /** Whether a word counts each time that it occurs; else once. */
  readonly cumulative: boolean;
}

/** Where each token's weight is added: row (sequence x words + word); with `once`, of equal tokens of a sequence the first. */
function places({ ids, offsets }: TextBatch, words: number, once: boolean): { tokens: Int32Array; rows: Int32Array } {
  const tokens: number[] = [];
  const rows: number[] = [];
  for (let s = 0; s + 1 < offsets.length; s++) {
    const seen = new Set<number>();
    for (let i = offsets[s]; i < offsets[s + 1]; i++) {
      if (once && seen.has(ids[i])) continue;
      seen.add(ids[i]);
      tokens.push(i);
      rows.push(s * words + ids[i]);
    }
  }
  return { tokens: Int32Array.from(tokens), rows: Int32Array.from(rows) };
}

/** The vectors of texts. @param weights of their tokens [tokens, 1] @returns [sequences, words] */
export function bagWords(weights: Tensor, batch: TextBatch, { words, cumulative }: BagOfWords): Tensor {
  const sequences = batch.offsets.length - 1;
  if (batch.ids.length === 0) return zeros([sequences, words]);
  const { tokens, rows } = places(batch, words, !cumulative);
  return reshape(scatterRows(take(weights, tensor(tokens)), tensor(rows), sequences * words), [sequences, words]);
}
