// Bags of words: a text's vector has a number for each word of a list, the weights of its occurrences.
import { reshape, scatterRows, type Tensor, take, tensor, zeros } from "@cloze/tensor";
import { ClozeError } from "../errors.js";
import type { Model } from "../families/model.js";
import type { Tokenizer } from "../text/index.js";
import type { EmbedderParts, TextBatch } from "./embedder.js";

/** How the words of a text become its vector, instead of a pooling. */
export interface BagOfWords {
  /** Words of the list: the length of a vector. */
  readonly words: number;
  /** Whether a word counts each time that it occurs; else once. */
  readonly cumulative: boolean;
}

/** @throws INVALID_OPTION where words cannot be counted as a bag says */
export function checkBag(model: Model, tokenizer: Tokenizer, { bag, tokenModules = [] }: EmbedderParts): void {
  if (bag === undefined) return;
  const { hiddenSize } = model.encoder.config;
  const wrong =
    tokenModules.length > 0
      ? `modules before the pooling: ${tokenModules.map(({ type }) => type).join(", ")}`
      : hiddenSize !== 1
        ? `states of ${hiddenSize} numbers`
        : bag.words < tokenizer.vocabularySize
          ? `a bag of ${bag.words} words, and a tokenizer of ${tokenizer.vocabularySize} entries`
          : undefined;
  if (wrong === undefined) return;
  throw new ClozeError("INVALID_OPTION", "A bag counts words by the encoder's states, and nothing stands between", {
    expected: "a state of one number for each token, a number for each entry of the tokenizer, and no tokenModules",
    received: wrong,
    remedy: "Leave the bag out, or what does not go with it.",
  });
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
