import type { Tokenizer } from "../tokenizer.js";
import type { CountedText } from "./count-pieces.js";

/** Learns a tokenizer from texts that are added one by one: from a stream, say. */
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
