// Scores of the token that comes next, by reading new tokens alone or whole texts again.
import { scope, slice, type Tensor } from "@cloze/tensor";
import { packSequences } from "../data/packed-batch.js";
import { createKeyValueCache } from "../encoder/key-value-cache.js";
import type { Model } from "../families/index.js";

export interface NextTokenScorer {
  /**
   * Scores of the token after each text. -> [texts, vocabulary]
   *
   * @param texts token ids of each
   * @param from which text of the last call each goes on from, token by token; at the first call, [0]
   */
  score(texts: readonly (readonly number[])[], from: readonly number[]): Tensor;
  /** Frees what is kept between calls. */
  dispose(): void;
}

/** Logits of the last token of each sequence, without the rows of padded tables that no token is. */
function lastLogits(
  model: Model,
  sequences: readonly (readonly number[])[],
  vocabularySize: number,
  options: Parameters<Model["forward"]>[1] = {},
): Tensor {
  const batch = packSequences(sequences.map((ids) => ({ ids })));
  const { logits } = model.forward(batch, { ...options, rows: batch.offsets.slice(1).map((end) => end - 1) });
  return slice(logits as Tensor, [{}, { end: vocabularySize }]);
}

/** Reads every text from its beginning: the plain twin, and the way of models whose parts cannot go on from a cache. */
const rereadingScorer = (model: Model, vocabularySize: number): NextTokenScorer => ({
  score: (texts) => scope(() => lastLogits(model, texts, vocabularySize)),
  dispose() {},
});

function cachedScorer(model: Model, vocabularySize: number): NextTokenScorer {
  const cache = createKeyValueCache(model.encoder);
  return {
    score: (texts, from) =>
      scope(() => {
        if (from.length !== cache.lengths.length || from.some((source, i) => source !== i)) cache.reorder(from);
        const unread = texts.map((ids, i) => ids.slice(cache.lengths[i]));
        return lastLogits(model, unread, vocabularySize, { cache });
      }),
    dispose: () => cache.dispose(),
  };
}

/**
 * What reads texts for `generate`. Call it inside `noGrad`, and dispose of it.
 *
 * @param vocabularySize tokens that may come; rows of the model beyond are left out
 * @param cache keys and values of earlier tokens are kept, where all parts of the model can go on from them
 */
export const createNextTokenScorer = (model: Model, vocabularySize: number, cache: boolean): NextTokenScorer =>
  cache && model.encoder.cacheWidths !== undefined
    ? cachedScorer(model, vocabularySize)
    : rereadingScorer(model, vocabularySize);
