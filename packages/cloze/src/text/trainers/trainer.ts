import type { Tokenizer } from "../tokenizer.js";
import type { CountedText } from "./count-pieces.js";

/**
 * Learns a tokenizer from texts that are added one by one: from a stream, say.
 *
 * @example
 * const trainer = wordPieceTrainer({ vocabularySize: 8000 });
 * for await (const text of texts) trainer.add(text);
 * trainer.finish().save("my-model");
 */
export interface TokenizerTrainer {
  add(text: CountedText): void;
  /** @throws TOKENIZER_EMPTY_CORPUS */
  finish(): Tokenizer;
}

/** What a trainer makes of texts that are at hand. */
export function trainOn(trainer: TokenizerTrainer, texts: Iterable<CountedText>): Tokenizer {
  for (const text of texts) trainer.add(text);
  return trainer.finish();
}
