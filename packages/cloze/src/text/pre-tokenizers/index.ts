import { buildByType, type JsonReader } from "../json-reader.js";
import { readPattern } from "../pattern.js";
import { SPLIT_BEHAVIORS } from "./behavior.js";
import { BertPreTokenizer } from "./bert-pre-tokenizer.js";
import { ByteLevelPreTokenizer } from "./byte-level.js";
import { MetaspacePreTokenizer, readMetaspaceFields } from "./metaspace.js";
import type { PreTokenizer } from "./pre-tokenizer.js";
import {
  CharacterPreTokenizer,
  digitsPreTokenizer,
  FixedLengthPreTokenizer,
  punctuationPreTokenizer,
  SequencePreTokenizer,
  SplitPreTokenizer,
  WhitespacePreTokenizer,
  WhitespaceSplitPreTokenizer,
} from "./simple.js";
import { UnicodeScriptsPreTokenizer } from "./unicode-scripts.js";

function readByteLevel(reader: JsonReader): PreTokenizer {
  return new ByteLevelPreTokenizer({
    addPrefixSpace: reader.boolean("add_prefix_space", true),
    useRegex: reader.boolean("use_regex", true),
  });
}

function readMetaspace(reader: JsonReader): PreTokenizer {
  const { replacement, prependScheme } = readMetaspaceFields(reader);
  return new MetaspacePreTokenizer(replacement, prependScheme, reader.boolean("split", true));
}

function readSplit(reader: JsonReader): PreTokenizer {
  const behavior = reader.choice("behavior", SPLIT_BEHAVIORS);
  return new SplitPreTokenizer(readPattern(reader, "pattern"), behavior, reader.boolean("invert", false));
}

function readCharDelimiterSplit(reader: JsonReader): PreTokenizer {
  const delimiter = reader.character("delimiter").codePointAt(0)!;
  return new CharacterPreTokenizer((code) => code === delimiter, "Removed");
}

function readFixedLength(reader: JsonReader): PreTokenizer {
  const length = reader.integer("length", 5);
  if (length < 1) throw reader.fail("length", "at least 1");
  return new FixedLengthPreTokenizer(length);
}

/** Every pre-tokenizer type of `tokenizer.json`, and how it is read. Add a line here to add a type. */
export const preTokenizers = new Map<string, (reader: JsonReader) => PreTokenizer>([
  ["BertPreTokenizer", () => new BertPreTokenizer()],
  ["Whitespace", () => new WhitespacePreTokenizer()],
  ["WhitespaceSplit", () => new WhitespaceSplitPreTokenizer()],
  ["ByteLevel", readByteLevel],
  ["Metaspace", readMetaspace],
  ["Split", readSplit],
  ["Punctuation", (reader) => punctuationPreTokenizer(reader.choice("behavior", SPLIT_BEHAVIORS, "Isolated"))],
  ["Digits", (reader) => digitsPreTokenizer(reader.boolean("individual_digits", false))],
  ["CharDelimiterSplit", readCharDelimiterSplit],
  ["UnicodeScripts", () => new UnicodeScriptsPreTokenizer()],
  ["FixedLength", readFixedLength],
  ["Sequence", (reader) => new SequencePreTokenizer(reader.readers("pretokenizers").map(readPreTokenizer))],
]);

/** Builds a pre-tokenizer from its JSON. */
export function readPreTokenizer(reader: JsonReader): PreTokenizer {
  return buildByType("pre-tokenizer", preTokenizers, reader);
}
