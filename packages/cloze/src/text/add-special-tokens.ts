// A tokenizer with more special tokens: marks that are never cut and never masked.
import type { JsonObject, JsonValue } from "./json-reader.js";
import type { Tokenizer } from "./tokenizer.js";

/** The tokenizer with these special tokens behind its vocabulary; those that it has stay what they are. */
export function addSpecialTokens(tokenizer: Tokenizer, tokens: readonly string[]): Tokenizer {
  const missing = [...new Set(tokens)].filter((token) => tokenizer.tokenToId(token) === undefined);
  if (missing.length === 0) return tokenizer;
  const json = tokenizer.toJson();
  const added = missing.map(
    (content, i): JsonObject => ({
      id: tokenizer.vocabularySize + i,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    }),
  );
  json.added_tokens = [...((json.added_tokens as JsonValue[] | undefined) ?? []), ...added];
  return tokenizer.withJson(json);
}
