import type { AddedVocabulary } from "./added-tokens.js";
import type { JsonReader } from "./json-reader.js";
import type { Model } from "./models/model.js";

/** What a special token is for. */
export type SpecialTokenRole = "mask" | "classification" | "separator" | "padding" | "unknown";

/** How vocabularies write the tokens of each role; the first that is there counts. */
const NAMES: Readonly<Record<SpecialTokenRole, readonly string[]>> = {
  mask: ["[MASK]", "<mask>"],
  classification: ["[CLS]", "<cls>", "<s>", "<|startoftext|>"],
  separator: ["[SEP]", "<sep>", "</s>", "<|endoftext|>"],
  padding: ["[PAD]", "<pad>", "<|padding|>"],
  unknown: ["[UNK]", "<unk>"],
};

/** How `tokenizer_config.json` and `special_tokens_map.json` call the roles. */
const FIELDS: readonly (readonly [string, SpecialTokenRole])[] = [
  ["mask_token", "mask"],
  ["cls_token", "classification"],
  ["sep_token", "separator"],
  ["pad_token", "padding"],
  ["unk_token", "unknown"],
];

/** The tokens that a vocabulary has for the roles. */
export type SpecialTokenNames = Partial<Record<SpecialTokenRole, string>>;

/** The ids that a vocabulary has for the roles. */
export type SpecialTokenIds = Partial<Record<SpecialTokenRole, number>>;

/** Reads names from a `tokenizer_config.json` or a `special_tokens_map.json`; what is not a token there is left out. */
export function readSpecialTokenNames(config: Readonly<Record<string, unknown>>): SpecialTokenNames {
  const names: SpecialTokenNames = {};
  for (const [field, role] of FIELDS) {
    const value = config[field];
    const content = value !== null && typeof value === "object" && "content" in value ? value.content : value;
    if (typeof content === "string" && content !== "") names[role] = content;
  }
  return names;
}

/** The fields of a `tokenizer_config.json` that name the roles. */
export function specialTokenFields(names: SpecialTokenNames): Record<string, string> {
  const fields: Record<string, string> = {};
  for (const [field, role] of FIELDS) {
    const name = names[role];
    if (name !== undefined) fields[field] = name;
  }
  return fields;
}

/** Finds the token of each role: by the names given, by what the file says of itself, then by the usual names. */
export function findSpecialTokens(
  reader: JsonReader,
  model: Model,
  added: AddedVocabulary,
  names: SpecialTokenNames,
): SpecialTokenIds {
  const idOf = (token: string): number | undefined => added.byContent.get(token)?.id ?? model.tokenToId(token);
  const own: SpecialTokenNames = {};
  if (reader.has("padding")) {
    const padToken = reader.reader("padding").value("pad_token");
    if (typeof padToken === "string") own.padding = padToken;
  }
  const modelReader = reader.reader("model");
  const unknown = modelReader.value("unk_token");
  if (typeof unknown === "string") own.unknown = unknown;
  const unknownId = modelReader.value("unk_id");
  if (typeof unknownId === "number") own.unknown = model.idToToken(unknownId);
  const ids: SpecialTokenIds = {};
  for (const role of Object.keys(NAMES) as SpecialTokenRole[]) {
    for (const name of [names[role], own[role], ...NAMES[role]]) {
      const id = name === undefined ? undefined : idOf(name);
      if (id !== undefined) {
        ids[role] = id;
        break;
      }
    }
  }
  return ids;
}
