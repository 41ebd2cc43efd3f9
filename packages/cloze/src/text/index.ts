// The public surface of text/, by name.
export { addSpecialTokens } from "./add-special-tokens.js";
export type { AddedToken } from "./added-tokens.js";
export { type ReadLinesOptions, readLines } from "./corpus.js";
export {
  cleanDocument,
  type DocumentLimits,
  documentOfJson,
  documentsOfLines,
  splitSentences,
  type TextDocument,
  type TextParagraph,
} from "./documents.js";
export type { Encoding } from "./encoding.js";
export {
  type AddedPiece,
  type ExtendedTokenizer,
  type ExtendTokenizerOptions,
  extendTokenizer,
} from "./extend-vocabulary.js";
export type { JsonObject, JsonValue } from "./json-reader.js";
export type { PaddingOptions } from "./padding.js";
export { checkTokenizerFolder, type ParityResult } from "./parity.js";
export type { SpecialTokenIds, SpecialTokenNames, SpecialTokenRole } from "./special-tokens.js";
export { atOnce, inSlices, type Steps } from "./steps.js";
export {
  type DecodeOptions,
  type EncodeIdsOptions,
  type EncodeOptions,
  loadTokenizer,
  Tokenizer,
  tokenizerFromJson,
} from "./tokenizer.js";
export { type BpeTrainerOptions, bpeTrainer, trainBpe } from "./trainers/bpe.js";
export type { TokenizerTrainer } from "./trainers/trainer.js";
export { trainUnigram, type UnigramTrainerOptions, unigramTrainer } from "./trainers/unigram.js";
export { trainWordLevel, type WordLevelTrainerOptions, wordLevelTrainer } from "./trainers/word-level.js";
export { trainWordPiece, type WordPieceTrainerOptions, wordPieceTrainer } from "./trainers/word-piece.js";
export type { TruncationOptions } from "./truncation.js";
export { type WordList, wordListTokenizer } from "./word-list.js";
