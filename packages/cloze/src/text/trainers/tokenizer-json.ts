import type { JsonObject } from "../json-reader.js";

/** The `added_tokens` entries of special tokens, whose ids are their places. */
export function specialTokenEntries(tokens: readonly string[], leftStripped: readonly string[] = []): JsonObject[] {
  return tokens.map((content, id) => ({
    id,
    content,
    single_word: false,
    lstrip: leftStripped.includes(content),
    rstrip: false,
    normalized: false,
    special: true,
  }));
}

/** A vocabulary as `tokenizer.json` writes it. */
export function vocabularyJson(tokens: readonly string[]): JsonObject {
  // Not by assignment: `__proto__` may be a token.
  return Object.fromEntries(tokens.map((token, id) => [token, id]));
}

/** BERT's clean-up of texts. */
export const bertNormalizerJson = ({
  lowercase,
  stripAccents = null,
  handleChineseCharacters = true,
}: {
  lowercase: boolean;
  stripAccents?: boolean | null;
  handleChineseCharacters?: boolean;
}): JsonObject => ({
  type: "BertNormalizer",
  clean_text: true,
  handle_chinese_chars: handleChineseCharacters,
  strip_accents: stripAccents,
  lowercase,
});

/** BERT's template: `[CLS] A [SEP]`, and `[CLS] A [SEP] B [SEP]` with B in the second segment. */
export function bertTemplate(
  classification: readonly [string, number],
  separator: readonly [string, number],
): JsonObject {
  const special = ([id]: readonly [string, number], type: number): JsonObject => ({
    SpecialToken: { id, type_id: type },
  });
  const sequence = (id: string, type: number): JsonObject => ({ Sequence: { id, type_id: type } });
  const entry = ([token, id]: readonly [string, number]): JsonObject => ({ id: token, ids: [id], tokens: [token] });
  const single = [special(classification, 0), sequence("A", 0), special(separator, 0)];
  return {
    type: "TemplateProcessing",
    single,
    pair: [...single, sequence("B", 1), special(separator, 1)],
    special_tokens: Object.fromEntries([
      [classification[0], entry(classification)],
      [separator[0], entry(separator)],
    ]),
  };
}
