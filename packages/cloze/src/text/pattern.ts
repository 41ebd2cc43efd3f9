import { type JsonReader, JsonReader as Reader } from "./json-reader.js";
import { compileRegularExpression } from "./regular-expression.js";

/** Ranges of a text, in order, not overlapping. */
export type Ranges = [number, number][];

/** What a pattern of a `tokenizer.json` is: text to find, or a regular expression. */
export interface Pattern {
  /** The ranges of `text` that match, from left to right. */
  find(text: string): Ranges;
}

/** A pattern that is a string to find; an empty string matches nothing. */
export function stringPattern(content: string): Pattern {
  return {
    find(text) {
      const found: Ranges = [];
      if (content === "") return found;
      for (let at = text.indexOf(content); at >= 0; at = text.indexOf(content, at + content.length)) {
        found.push([at, at + content.length]);
      }
      return found;
    },
  };
}

/** A pattern that is a regular expression with the flag `g`. */
export function regularExpressionPattern(expression: RegExp): Pattern {
  return {
    find(text) {
      const found: Ranges = [];
      for (const match of text.matchAll(expression)) found.push([match.index, match.index + match[0].length]);
      return found;
    },
  };
}

/** Reads `{"String": ...}` or `{"Regex": ...}`. */
export function readPattern(reader: JsonReader, key: string): Pattern {
  const value = reader.value(key);
  if (typeof value === "string") return stringPattern(value);
  const pattern = Reader.of(value, reader.at(key));
  if (pattern.has("String")) return stringPattern(pattern.string("String"));
  return regularExpressionPattern(compileRegularExpression(pattern.string("Regex")));
}
