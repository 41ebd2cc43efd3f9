import type { JsonObject } from "../json-reader.js";
import { BertNormalizer } from "../normalizers/bert-normalizer.js";
import { BertPreTokenizer } from "../pre-tokenizers/bert-pre-tokenizer.js";
import type { PreTokenizer } from "../pre-tokenizers/pre-tokenizer.js";
import { type Tokenizer, tokenizerFromJson } from "../tokenizer.js";
import { checkTrainerOptions, emptyCorpus, joinSpecialTokens } from "./alphabet.js";
import { type CountedText, pieceCounter } from "./count-pieces.js";
import { bertNormalizerJson, bertTemplate, specialTokenEntries, vocabularyJson } from "./tokenizer-json.js";
import { type TokenizerTrainer, trainOn } from "./trainer.js";

/** Options of {@link trainWordLevel}. */
export interface WordLevelTrainerOptions {
  /** What a token is: a word or punctuation mark, or a character (spaces too). Words by default. */
  unit?: "words" | "characters";
  /** The most tokens that the vocabulary may have, special ones included; 30,522 by default. */
  vocabularySize?: number;
  /** `[PAD]`, `[UNK]`, `[CLS]`, `[SEP]`, `[MASK]` by default; others come after these, unless `[PAD]` is among them. */
  specialTokens?: readonly string[];
  /** Make everything lower case and remove accents; true by default. */
  lowercase?: boolean;
  /** Units that were seen less often are unknown; 1 by default. */
  minFrequency?: number;
}

const BERT_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] as const;

/** Every character by itself. */
const characters: PreTokenizer = {
  split(source, start, end, emit) {
    for (let unit = start; unit < end; ) {
      const next = unit + ((source.text.codePointAt(unit) as number) > 0xffff ? 2 : 1);
      emit(source, unit, next);
      unit = next;
    }
  },
};

const units = {
  words: { preTokenizer: new BertPreTokenizer(), json: { type: "BertPreTokenizer" }, decoder: null },
  characters: {
    preTokenizer: characters,
    // Clean-up leaves no line ends, which a dot would not find.
    json: { type: "Split", pattern: { Regex: "." }, behavior: "Isolated", invert: false },
    decoder: { type: "Fuse" },
  },
} as const;

/** What {@link trainWordLevel} does, for texts that come one by one. @throws `TOKENIZER_TRAINER_OPTIONS` */
export function wordLevelTrainer(options: WordLevelTrainerOptions = {}): TokenizerTrainer {
  const { unit = "words", vocabularySize = 30522, lowercase = true, minFrequency = 1 } = options;
  const special = joinSpecialTokens(options.specialTokens ?? [], BERT_TOKENS);
  checkTrainerOptions(vocabularySize, minFrequency, special);
  const { preTokenizer, json, decoder } = units[unit];
  const normalizer = new BertNormalizer({ lowercase, stripAccents: null, handleChineseCharacters: true });
  const { counts, add } = pieceCounter({ normalizer, preTokenizer, longest: 1000, tooLong: "drop" });
  return {
    add,
    finish() {
      if (counts.size === 0) throw emptyCorpus();
      const known = new Set(special);
      const frequent = [...counts]
        .filter(([piece, count]) => count >= minFrequency && !known.has(piece))
        .sort(([a, countA], [b, countB]) => countB - countA || (a < b ? -1 : 1))
        .slice(0, vocabularySize - special.length);
      return tokenizerFromJson({
        version: "1.0",
        truncation: null,
        padding: null,
        added_tokens: specialTokenEntries(special),
        normalizer: bertNormalizerJson({ lowercase }),
        pre_tokenizer: json,
        post_processor: bertTemplate(["[CLS]", special.indexOf("[CLS]")], ["[SEP]", special.indexOf("[SEP]")]),
        decoder,
        model: {
          type: "WordLevel",
          vocab: vocabularyJson([...special, ...frequent.map(([piece]) => piece)]),
          unk_token: "[UNK]",
        },
      } as JsonObject);
    },
  };
}

/**
 * Learns a tokenizer whose tokens are whole words, or single characters: the inputs of word-level and of character-level
 * networks. BERT's clean-up and template. Texts are read once, one by one.
 *
 * @throws ClozeError `TOKENIZER_EMPTY_CORPUS`, `TOKENIZER_TRAINER_OPTIONS`.
 * @example
 * const tokenizer = trainWordLevel(texts, { unit: "characters", vocabularySize: 200 });
 */
export const trainWordLevel = (texts: Iterable<CountedText>, options: WordLevelTrainerOptions = {}): Tokenizer =>
  trainOn(wordLevelTrainer(options), texts);
