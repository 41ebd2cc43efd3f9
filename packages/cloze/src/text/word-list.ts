// Tokenizers that are a list of whole words: those of sentence-transformers' word embeddings and bags of words.
import { SpacedWords } from "./models/spaced-words.js";
import { type Tokenizer, tokenizerFromJson } from "./tokenizer.js";

/** A list of words as a tokenizer, with what it leaves out. */
export interface WordList {
  readonly words: readonly string[];
  /** Left out even where `words` has them. Default none. */
  readonly stopWords?: readonly string[];
  /** Texts are lower-cased first. Default false: a word is looked up as it stands, then in lower case. */
  readonly lowerCase?: boolean;
}

/**
 * A tokenizer that knows the words of a list and leaves out all others; it has no special tokens.
 *
 * @example
 * const tokenizer = wordListTokenizer({ words: ["cat", "dog"] });
 * tokenizer.encodeIds("A Dog, a cat!"); // [1, 0]
 */
export const wordListTokenizer = ({ words, stopWords = [], lowerCase = false }: WordList): Tokenizer =>
  tokenizerFromJson({
    version: "1.0",
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: { type: "WhitespaceSplit" },
    post_processor: null,
    decoder: null,
    model: { type: "SpacedWords", words: [...words], stop_words: [...stopWords], lower_case: lowerCase },
  });

/** The list of a tokenizer that is one. */
export function wordListOf({ model }: Pick<Tokenizer, "model">): Required<WordList> | undefined {
  if (!(model instanceof SpacedWords)) return undefined;
  return { words: model.words, stopWords: [...model.stopWords], lowerCase: model.lowerCase };
}
