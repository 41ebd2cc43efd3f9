import { buildByType, JsonReader } from "../json-reader.js";
import { readPattern } from "../pattern.js";
import { readBertNormalizer } from "./bert-normalizer.js";
import type { Normalizer } from "./normalizer.js";
import { readPrecompiled } from "./precompiled.js";
import {
  AppendNormalizer,
  ByteLevelNormalizer,
  LowercaseNormalizer,
  NmtNormalizer,
  PrependNormalizer,
  ReplaceNormalizer,
  SequenceNormalizer,
  StripAccentsNormalizer,
  StripNormalizer,
} from "./simple.js";
import { UnicodeFormNormalizer } from "./unicode-forms.js";

function readReplace(reader: JsonReader): Normalizer {
  const pattern = readPattern(reader, "pattern");
  const content = reader.string("content");
  const given = reader.value("pattern");
  const { String: text, Regex: expression } = JsonReader.of(
    typeof given === "string" ? { String: given } : given,
    "",
  ).object;
  const cutsAtSpaces =
    typeof text === "string" ? !/\s/u.test(text + content) : expression === " {2,}" && content === " ";
  return new ReplaceNormalizer(pattern, content, cutsAtSpaces);
}

/** Every normalizer type of `tokenizer.json`, and how it is read. Add a line here to add a type. */
export const normalizers = new Map<string, (reader: JsonReader) => Normalizer>([
  ["BertNormalizer", readBertNormalizer],
  ["NFC", () => new UnicodeFormNormalizer("NFC")],
  ["NFD", () => new UnicodeFormNormalizer("NFD")],
  ["NFKC", () => new UnicodeFormNormalizer("NFKC")],
  ["NFKD", () => new UnicodeFormNormalizer("NFKD")],
  ["Lowercase", () => new LowercaseNormalizer()],
  ["StripAccents", () => new StripAccentsNormalizer()],
  ["Strip", (reader) => new StripNormalizer(reader.boolean("strip_left", true), reader.boolean("strip_right", true))],
  ["Replace", readReplace],
  ["Prepend", (reader) => new PrependNormalizer(reader.string("prepend"))],
  ["Append", (reader) => new AppendNormalizer(reader.string("append"))],
  ["ByteLevel", () => new ByteLevelNormalizer()],
  ["Nmt", () => new NmtNormalizer()],
  ["Precompiled", readPrecompiled],
  ["Sequence", (reader) => new SequenceNormalizer(reader.readers("normalizers").map(readNormalizer))],
]);

/** Builds a normalizer from its JSON. */
export function readNormalizer(reader: JsonReader): Normalizer {
  return buildByType("normalizer", normalizers, reader);
}
