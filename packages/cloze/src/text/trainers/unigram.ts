import type { JsonObject } from "../json-reader.js";
import { JsonReader } from "../json-reader.js";
import { readNormalizer } from "../normalizers/index.js";
import { MetaspacePreTokenizer } from "../pre-tokenizers/metaspace.js";
import { type Tokenizer, tokenizerFromJson } from "../tokenizer.js";
import { checkTrainerOptions, countCharacters, emptyCorpus, joinSpecialTokens } from "./alphabet.js";
import { type CountedText, pieceCounter } from "./count-pieces.js";
import { bertTemplate, specialTokenEntries } from "./tokenizer-json.js";
import { type TokenizerTrainer, trainOn } from "./trainer.js";
import { learnUnigram } from "./unigram-learner.js";

/** Options of {@link trainUnigram}. */
export interface UnigramTrainerOptions {
  /** The most tokens that the vocabulary may have, special ones included; 8,000 by default. */
  vocabularySize?: number;
  /** `<pad>`, `<unk>`, `[CLS]`, `[SEP]`, `[MASK]` by default; others come after these, unless `<pad>` is among them. */
  specialTokens?: readonly string[];
  /** Make everything lower case; true by default. */
  lowercase?: boolean;
  /** Remove accents; by default, what `lowercase` says. */
  stripAccents?: boolean;
  /** The most characters that a piece may have; 16 by default. */
  longestPiece?: number;
  /** How many distinct characters are kept, the most frequent ones; all by default. */
  limitAlphabet?: number;
}

const ALBERT_TOKENS = ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"] as const;
const SPACE = "▁";
/** How many pieces learning begins with at most. */
const SEEDS = 1_000_000;
/** Longer words are cut, so that learning takes time in proportion to the text. */
const LONGEST_WORD = 512;

/** What {@link trainUnigram} does, for texts that come one by one. @throws `TOKENIZER_TRAINER_OPTIONS` */
export function unigramTrainer(options: UnigramTrainerOptions = {}): TokenizerTrainer {
  const { vocabularySize = 8000, lowercase = true, longestPiece = 16 } = options;
  const { stripAccents = lowercase, limitAlphabet = Number.POSITIVE_INFINITY } = options;
  const special = joinSpecialTokens(options.specialTokens ?? [], ALBERT_TOKENS);
  checkTrainerOptions(vocabularySize, 0, special);
  const normalizer: JsonObject = {
    type: "Sequence",
    normalizers: [
      { type: stripAccents ? "NFKD" : "NFKC" },
      ...(stripAccents ? [{ type: "StripAccents" }] : []),
      ...(lowercase ? [{ type: "Lowercase" }] : []),
      { type: "Replace", pattern: { Regex: " {2,}" }, content: " " },
    ],
  };
  const { counts: words, add } = pieceCounter({
    normalizer: readNormalizer(JsonReader.of(normalizer, "normalizer")),
    preTokenizer: new MetaspacePreTokenizer(SPACE, "always", true),
    longest: LONGEST_WORD,
    tooLong: "cut",
  });
  return {
    add,
    finish() {
      // An empty text has no words; a text of spaces has this one.
      if (words.size === 0 || (words.size === 1 && words.has(SPACE))) throw emptyCorpus();
      const characters = countCharacters(words);
      const room = vocabularySize - special.length;
      const learnt = learnUnigram(words, characters, {
        pieces: room,
        vocabularySize,
        alphabet: characters.slice(0, Math.min(room, limitAlphabet)).map(([character]) => character),
        longestPiece,
        seeds: SEEDS,
      });
      const taken = new Set(special);
      const pieces = learnt.filter(([piece]) => !taken.has(piece));
      const metaspace = { type: "Metaspace", replacement: SPACE, prepend_scheme: "always", split: true };
      const json: JsonObject = {
        version: "1.0",
        truncation: null,
        padding: null,
        added_tokens: specialTokenEntries(special, ["[MASK]"]),
        normalizer,
        pre_tokenizer: metaspace,
        post_processor: bertTemplate(["[CLS]", special.indexOf("[CLS]")], ["[SEP]", special.indexOf("[SEP]")]),
        decoder: { ...metaspace },
        model: {
          type: "Unigram",
          unk_id: special.indexOf("<unk>"),
          vocab: [...special.map((token) => [token, 0]), ...pieces.map(([piece, score]) => [piece, score])],
          byte_fallback: false,
        },
      };
      return tokenizerFromJson(json);
    },
  };
}

/**
 * Learns an ALBERT-like tokenizer from texts: a Unigram vocabulary over words that begin with `▁`. Texts are read once,
 * one by one.
 *
 * @throws ClozeError `TOKENIZER_EMPTY_CORPUS`, `TOKENIZER_TRAINER_OPTIONS`.
 * @example
 * const tokenizer = trainUnigram(readLines("corpus.txt"), { vocabularySize: 8000 });
 */
export const trainUnigram = (texts: Iterable<CountedText>, options: UnigramTrainerOptions = {}): Tokenizer =>
  trainOn(unigramTrainer(options), texts);
