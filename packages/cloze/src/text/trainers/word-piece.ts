import type { JsonObject } from "../json-reader.js";
import { BertNormalizer } from "../normalizers/bert-normalizer.js";
import { BertPreTokenizer } from "../pre-tokenizers/bert-pre-tokenizer.js";
import { type Tokenizer, tokenizerFromJson } from "../tokenizer.js";
import { checkTrainerOptions, countCharacters, emptyCorpus, inCodePointOrder, joinSpecialTokens } from "./alphabet.js";
import { type CountedText, pieceCounter } from "./count-pieces.js";
import { learnMerges, type SymbolWords } from "./learn-merges.js";
import { bertNormalizerJson, bertTemplate, specialTokenEntries, vocabularyJson } from "./tokenizer-json.js";
import { type TokenizerTrainer, trainOn } from "./trainer.js";

/** Options of {@link trainWordPiece}. */
export interface WordPieceTrainerOptions {
  /** The most tokens that the vocabulary may have, special ones included; 30,522 by default. */
  vocabularySize?: number;
  /** `[PAD]`, `[UNK]`, `[CLS]`, `[SEP]`, `[MASK]` by default; others come after these, unless `[PAD]` is among them. */
  specialTokens?: readonly string[];
  /** Make everything lower case; true by default. */
  lowercase?: boolean;
  /** Remove accents; by default, what `lowercase` says. */
  stripAccents?: boolean | null;
  /** Put spaces around Chinese ideographs; true by default. */
  handleChineseCharacters?: boolean;
  /** Pairs that were seen less often are not joined; 2 by default. */
  minFrequency?: number;
  /** How many distinct characters are kept, the most frequent ones; all by default. */
  limitAlphabet?: number;
}

const PREFIX = "##";
const LONGEST_WORD = 100;
const BERT_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] as const;

/** Characters with the forms that they have inside words, as many as there is room for, the most frequent first. */
function chooseAlphabet(words: ReadonlyMap<string, number>, room: number, limit: number): string[] {
  const inside = new Set<string>();
  for (const word of words.keys()) {
    let first = true;
    for (const character of word) {
      if (!first) inside.add(character);
      first = false;
    }
  }
  const kept: string[] = [];
  let left = room;
  for (const [character] of countCharacters(words)) {
    const cost = inside.has(character) ? 2 : 1;
    if (kept.length >= limit || cost > left) break;
    kept.push(character);
    left -= cost;
  }
  return inCodePointOrder(kept);
}

/** Writes words as symbols: `w ##o ##r ##d`. Characters outside the alphabet are left out, new forms get ids. */
function toSymbols(words: ReadonlyMap<string, number>, tokens: string[]): SymbolWords {
  const ids = new Map(tokens.map((token, id) => [token, id]));
  const inner = new Map<string, number>();
  const symbols: number[] = [];
  const starts = [0];
  const counts: number[] = [];
  for (const [word, count] of words) {
    let first = true;
    for (const character of word) {
      let id = ids.get(character);
      if (id !== undefined && !first) {
        id = inner.get(character);
        if (id === undefined) {
          const token = PREFIX + character;
          id = ids.get(token) ?? tokens.push(token) - 1;
          ids.set(token, id);
          inner.set(character, id);
        }
      }
      first = false;
      if (id !== undefined) symbols.push(id);
    }
    starts.push(symbols.length);
    counts.push(count);
  }
  return {
    symbols: Int32Array.from(symbols),
    starts: Int32Array.from(starts),
    counts: Float64Array.from(counts),
  };
}

/** What {@link trainWordPiece} does, for texts that come one by one. @throws `TOKENIZER_TRAINER_OPTIONS` */
export function wordPieceTrainer(options: WordPieceTrainerOptions = {}): TokenizerTrainer {
  const { vocabularySize = 30522, lowercase = true, stripAccents = null, minFrequency = 2 } = options;
  const { handleChineseCharacters = true, limitAlphabet = Number.POSITIVE_INFINITY } = options;
  const special = joinSpecialTokens(options.specialTokens ?? [], BERT_TOKENS);
  checkTrainerOptions(vocabularySize, minFrequency, special);
  const { counts: words, add } = pieceCounter({
    normalizer: new BertNormalizer({ lowercase, stripAccents, handleChineseCharacters }),
    preTokenizer: new BertPreTokenizer(),
    // Longer words are unknown to the model whatever it learns.
    longest: LONGEST_WORD,
    tooLong: "drop",
  });
  return {
    add,
    finish() {
      if (words.size === 0) throw emptyCorpus();
      const alphabet = chooseAlphabet(words, vocabularySize - special.length, limitAlphabet);
      const tokens = [...new Set([...special, ...alphabet])];
      const symbols = toSymbols(words, tokens);
      learnMerges(symbols, tokens, { vocabularySize, minFrequency, prefix: PREFIX });
      const json: JsonObject = {
        version: "1.0",
        truncation: null,
        padding: null,
        added_tokens: specialTokenEntries(special),
        normalizer: bertNormalizerJson({ lowercase, stripAccents, handleChineseCharacters }),
        pre_tokenizer: { type: "BertPreTokenizer" },
        post_processor: bertTemplate(["[CLS]", special.indexOf("[CLS]")], ["[SEP]", special.indexOf("[SEP]")]),
        decoder: { type: "WordPiece", prefix: PREFIX, cleanup: true },
        model: {
          type: "WordPiece",
          unk_token: "[UNK]",
          continuing_subword_prefix: PREFIX,
          max_input_chars_per_word: LONGEST_WORD,
          vocab: vocabularyJson(tokens),
        },
      };
      return tokenizerFromJson(json);
    },
  };
}

/**
 * Learns a BERT tokenizer from texts: BERT's clean-up and words, a WordPiece vocabulary learnt by joining the most
 * frequent pairs, BERT's template and decoder. Texts are read once, one by one.
 *
 * @throws ClozeError `TOKENIZER_EMPTY_CORPUS`, `TOKENIZER_TRAINER_OPTIONS`.
 * @example
 * const tokenizer = trainWordPiece(readLines("corpus.txt"), { vocabularySize: 8000 });
 * tokenizer.save("my-model");
 */
export const trainWordPiece = (texts: Iterable<CountedText>, options: WordPieceTrainerOptions = {}): Tokenizer =>
  trainOn(wordPieceTrainer(options), texts);
