// Losses of language models in units that can be compared.
import { checkLengths, sumOf } from "./shape.js";

/**
 * Mean loss per token over batches of different sizes. The mean of batch means would weigh small batches too much.
 *
 * @param losses mean loss of each batch, in nats
 * @param tokens tokens that each of them is the mean of
 * @returns NaN without tokens
 * @throws METRIC_SHAPE
 */
export function meanTokenLoss(losses: ArrayLike<number>, tokens: ArrayLike<number>): number {
  checkLengths("losses and numbers of tokens", losses, tokens);
  // A batch without tokens has a loss that is not a number.
  const total = sumOf(losses.length, (i) => (tokens[i] === 0 ? 0 : losses[i] * tokens[i]));
  return total / sumOf(tokens.length, (i) => tokens[i]);
}

/** e^loss, of a mean loss per token in nats. Of masked tokens only it is a pseudo-perplexity. */
export const perplexity = (meanLoss: number): number => Math.exp(meanLoss);

/** Mean loss per token in bits, of one in nats. */
export const bitsPerToken = (meanLoss: number): number => meanLoss / Math.LN2;

/** Loss per byte of text in bits: comparable between tokenizers. @param totalLoss sum over the text, in nats */
export const bitsPerByte = (totalLoss: number, bytes: number): number => totalLoss / (bytes * Math.LN2);
