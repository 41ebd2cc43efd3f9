import { buildByType, type JsonReader } from "../json-reader.js";
import { readBpe } from "./bpe.js";
import type { Model } from "./model.js";
import { readSpacedWords } from "./spaced-words.js";
import { readUnigram } from "./unigram.js";
import { readWordLevel } from "./word-level.js";
import { readWordPiece } from "./word-piece.js";

/** Every model type of `tokenizer.json`, and how it is read. Add a line here to add a type. */
export const models = new Map<string, (reader: JsonReader) => Model>([
  ["WordPiece", readWordPiece],
  ["BPE", readBpe],
  ["Unigram", readUnigram],
  ["WordLevel", readWordLevel],
  ["SpacedWords", readSpacedWords],
]);

/** Builds a model from its JSON; old files leave the type out, and are told by their fields. */
export function readModel(reader: JsonReader): Model {
  if (!reader.has("type")) {
    if (reader.has("merges")) return readBpe(reader);
    if (Array.isArray(reader.value("vocab"))) return readUnigram(reader);
    if (reader.has("max_input_chars_per_word")) return readWordPiece(reader);
    if (reader.has("vocab")) return readWordLevel(reader);
  }
  return buildByType("model", models, reader);
}
