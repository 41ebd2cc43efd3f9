import type { JsonReader, JsonValue } from "./json-reader.js";

/** Tells by how a token is written whether it goes on with a word; null where the vocabulary cannot tell. */
export type ContinuationRule = ((token: string) => boolean) | null;

/** All objects of a pipeline section, those inside sequences included. */
function* partsOf(value: JsonValue | undefined): Generator<Record<string, JsonValue>> {
  if (value === null || value === undefined || typeof value !== "object" || Array.isArray(value)) return;
  yield value;
  for (const key of ["normalizers", "pretokenizers"]) {
    const inner = Object.hasOwn(value, key) ? value[key] : undefined;
    if (Array.isArray(inner)) for (const part of inner) yield* partsOf(part);
  }
}

/**
 * Finds out how a vocabulary marks where words start: a prefix on tokens that go on (`##ing`), or a sign on tokens that
 * begin (`Ġword`, `▁word`).
 */
export function continuationRule(reader: JsonReader): ContinuationRule {
  const model = reader.reader("model");
  const type = model.value("type");
  const prefix = model.value("continuing_subword_prefix");
  const marker = typeof prefix === "string" ? prefix : type === "WordPiece" ? "##" : "";
  if (marker !== "") return (token) => token.length > marker.length && token.startsWith(marker);
  if (type === "WordLevel") return () => false;
  for (const section of ["normalizer", "pre_tokenizer"]) {
    for (const part of partsOf(reader.value(section))) {
      if (part.type === "ByteLevel") return (token) => !/^[ĠĉĊč]/.test(token);
      const sign =
        part.type === "Metaspace" ? (part.replacement ?? "▁") : part.type === "Prepend" ? part.prepend : null;
      if (typeof sign === "string" && sign !== "") return (token) => !token.startsWith(sign);
    }
  }
  return null;
}
