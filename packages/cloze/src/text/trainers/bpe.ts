import { ClozeError } from "../../errors.js";
import { BYTE_CHARACTERS } from "../byte-alphabet.js";
import type { JsonObject } from "../json-reader.js";
import { ByteLevelPreTokenizer } from "../pre-tokenizers/byte-level.js";
import { type Tokenizer, tokenizerFromJson } from "../tokenizer.js";
import { checkTrainerOptions, emptyCorpus, inCodePointOrder, joinSpecialTokens } from "./alphabet.js";
import { type CountedText, pieceCounter } from "./count-pieces.js";
import { learnMerges, type SymbolWords } from "./learn-merges.js";
import { specialTokenEntries, vocabularyJson } from "./tokenizer-json.js";
import { type TokenizerTrainer, trainOn } from "./trainer.js";

/** Options of {@link trainBpe}. */
export interface BpeTrainerOptions {
  /** The most tokens that the vocabulary may have, special ones and the 256 bytes included; 30,000 by default. */
  vocabularySize?: number;
  /** `<s>`, `<pad>`, `</s>`, `<unk>`, `<mask>` by default; others come after these, unless `<s>` is among them. */
  specialTokens?: readonly string[];
  /** Pairs that were seen less often are not joined; 2 by default. */
  minFrequency?: number;
  /** Put a space before a text that has none, so that its first word is like any other; false by default. */
  addPrefixSpace?: boolean;
}

const ROBERTA_TOKENS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"] as const;
/** Longer pieces (a line of a million letters, say) are cut, so that learning takes time in proportion to the text. */
const LONGEST_PIECE = 512;

const encoder = new TextEncoder();

function toSymbols(pieces: ReadonlyMap<string, number>, byteIds: Int32Array): SymbolWords {
  const starts = new Int32Array(pieces.size + 1);
  const counts = new Float64Array(pieces.size);
  let symbols = new Int32Array(1 << 16);
  let total = 0;
  let word = 0;
  for (const [piece, count] of pieces) {
    const bytes = encoder.encode(piece);
    if (total + bytes.length > symbols.length) {
      const longer = new Int32Array(Math.max(symbols.length * 2, total + bytes.length));
      longer.set(symbols.subarray(0, total));
      symbols = longer;
    }
    for (const byte of bytes) symbols[total++] = byteIds[byte];
    counts[word++] = count;
    starts[word] = total;
  }
  return { symbols, starts, counts };
}

/** What {@link trainBpe} does, for texts that come one by one. @throws `TOKENIZER_TRAINER_OPTIONS` */
export function bpeTrainer(options: BpeTrainerOptions = {}): TokenizerTrainer {
  const { vocabularySize = 30000, minFrequency = 2, addPrefixSpace = false } = options;
  const special = joinSpecialTokens(options.specialTokens ?? [], ROBERTA_TOKENS);
  checkTrainerOptions(vocabularySize, minFrequency, special);
  const tokens = [...new Set([...special, ...inCodePointOrder(BYTE_CHARACTERS)])];
  if (tokens.length > vocabularySize) {
    throw new ClozeError("TOKENIZER_TRAINER_OPTIONS", "The vocabulary has no room for all bytes.", {
      expected: `a vocabularySize of at least ${tokens.length}`,
      received: String(vocabularySize),
      remedy: "Raise vocabularySize.",
    });
  }
  const { counts: pieces, add } = pieceCounter({
    normalizer: null,
    preTokenizer: new ByteLevelPreTokenizer({ addPrefixSpace }, false),
    longest: LONGEST_PIECE,
    tooLong: "cut",
  });
  return {
    add,
    finish() {
      if (pieces.size === 0) throw emptyCorpus();
      const byteIds = Int32Array.from(BYTE_CHARACTERS, (character) => tokens.indexOf(character));
      const merges = learnMerges(toSymbols(pieces, byteIds), tokens, { vocabularySize, minFrequency, prefix: "" });
      const byteLevel = { type: "ByteLevel", add_prefix_space: addPrefixSpace, trim_offsets: true, use_regex: true };
      const json: JsonObject = {
        version: "1.0",
        truncation: null,
        padding: null,
        // As in RoBERTa, the mask takes the space before it along.
        added_tokens: specialTokenEntries(special, ["<mask>"]),
        normalizer: null,
        pre_tokenizer: byteLevel,
        post_processor: {
          type: "RobertaProcessing",
          sep: ["</s>", special.indexOf("</s>")],
          cls: ["<s>", special.indexOf("<s>")],
          trim_offsets: true,
          add_prefix_space: addPrefixSpace,
        },
        decoder: { ...byteLevel },
        model: {
          type: "BPE",
          dropout: null,
          unk_token: null,
          continuing_subword_prefix: null,
          end_of_word_suffix: null,
          fuse_unk: false,
          byte_fallback: false,
          ignore_merges: false,
          vocab: vocabularyJson(tokens),
          merges: merges.map(([left, right]) => [tokens[left], tokens[right]]),
        },
      };
      return tokenizerFromJson(json);
    },
  };
}

/**
 * Learns a RoBERTa tokenizer from texts: GPT-2's words as bytes, joined pair by pair, with RoBERTa's special tokens.
 * No text is unknown to it. Texts are read once, one by one.
 *
 * @throws ClozeError `TOKENIZER_EMPTY_CORPUS`, `TOKENIZER_TRAINER_OPTIONS`.
 * @example
 * const tokenizer = trainBpe(readLines("corpus.txt"), { vocabularySize: 8000 });
 * tokenizer.decode(tokenizer.encodeIds("any text, 😀 too")); // "any text, 😀 too"
 */
export const trainBpe = (texts: Iterable<CountedText>, options: BpeTrainerOptions = {}): Tokenizer =>
  trainOn(bpeTrainer(options), texts);
