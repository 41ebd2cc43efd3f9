// The encoder of recipes on made languages.
import { type EncoderConfigInput, uniformEncoder } from "../encoder/config.js";

/**
 * Two layers of width 48 without dropout: enough for the languages of hidden word classes and planted phrases, in minutes.
 *
 * @param maxPositions tokens of the longest sentence, special ones included. Default 18, for hidden word classes.
 */
export const wordEncoder = (vocabularySize: number, maxPositions = 18): EncoderConfigInput =>
  uniformEncoder({
    vocabularySize,
    hiddenSize: 48,
    layers: 2,
    heads: 4,
    maxPositions,
    dropout: 0,
    // At a width of 48, BERT's 0.02 starves the branches; the usual 1 / sqrt(width) is 0.14.
    initializerRange: 0.1,
  });
