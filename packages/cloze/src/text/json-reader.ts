import { ClozeError } from "../errors.js";

/** Any value that JSON can hold. */
export type JsonValue = null | boolean | number | string | JsonValue[] | { [key: string]: JsonValue };

/** A JSON object. */
export type JsonObject = { [key: string]: JsonValue };

function describe(value: unknown): string {
  if (value === undefined) return "nothing";
  if (value === null) return "null";
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === "object") return "an object";
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

/**
 * Reads fields of a parsed `tokenizer.json` with their types checked.
 *
 * Every method throws a `ClozeError` with code `TOKENIZER_INVALID_FIELD` that names the path of the field. A reader is
 * cheap: it holds the object and where it stands in the file.
 *
 * @example
 * const reader = JsonReader.of({ type: "Strip", strip_left: true }, "normalizer");
 * reader.boolean("strip_left", false); // true
 */
export class JsonReader {
  private constructor(
    readonly object: JsonObject,
    readonly path: string,
  ) {}

  /** Wraps a value that must be an object. */
  static of(value: unknown, path: string): JsonReader {
    if (value === null || typeof value !== "object" || Array.isArray(value)) {
      throw JsonReader.invalid(path, "an object", value);
    }
    return new JsonReader(value as JsonObject, path);
  }

  /** The error for a field that is not what it should be. */
  static invalid(path: string, expected: string, value: unknown): ClozeError {
    return new ClozeError("TOKENIZER_INVALID_FIELD", `tokenizer.json: "${path}" cannot be used.`, {
      expected,
      received: describe(value),
      remedy: "Save the tokenizer again, or correct this field.",
    });
  }

  /** The value of a field, or undefined when the object does not have it. */
  value(key: string): JsonValue | undefined {
    return Object.hasOwn(this.object, key) ? this.object[key] : undefined;
  }

  /** Whether the field is there and not null. */
  has(key: string): boolean {
    const value = this.value(key);
    return value !== undefined && value !== null;
  }

  /** The path of a field, for messages. */
  at(key: string): string {
    return this.path === "" ? key : `${this.path}.${key}`;
  }

  /** An error about one field. */
  fail(key: string, expected: string): ClozeError {
    return JsonReader.invalid(this.at(key), expected, this.value(key));
  }

  /** A string; `fallback` where the field is absent or null. */
  string(key: string, fallback?: string): string {
    const value = this.value(key);
    if ((value === undefined || value === null) && fallback !== undefined) return fallback;
    if (typeof value !== "string") throw this.fail(key, "a string");
    return value;
  }

  /** A string, or null where the field is absent or null. */
  optionalString(key: string): string | null {
    return this.has(key) ? this.string(key) : null;
  }

  /** A string that is exactly one character (code point). */
  character(key: string, fallback?: string): string {
    const value = this.string(key, fallback);
    if ([...value].length !== 1) throw this.fail(key, "a string of one character");
    return value;
  }

  /** One of the given strings. */
  choice<Choice extends string>(key: string, choices: readonly Choice[], fallback?: Choice): Choice {
    const value = this.string(key, fallback);
    if (!choices.includes(value as Choice)) throw this.fail(key, `one of ${choices.join(", ")}`);
    return value as Choice;
  }

  /** A boolean; `fallback` where the field is absent or null. */
  boolean(key: string, fallback?: boolean): boolean {
    const value = this.value(key);
    if ((value === undefined || value === null) && fallback !== undefined) return fallback;
    if (typeof value !== "boolean") throw this.fail(key, "true or false");
    return value;
  }

  /** A whole number from 0 to 2^31 - 1; `fallback` where the field is absent or null. */
  integer(key: string, fallback?: number): number {
    const value = this.value(key);
    if ((value === undefined || value === null) && fallback !== undefined) return fallback;
    if (!isIdentifier(value)) throw this.fail(key, "a whole number from 0 to 2147483647");
    return value;
  }

  /** An array; `fallback` where the field is absent or null. */
  array(key: string, fallback?: JsonValue[]): JsonValue[] {
    const value = this.value(key);
    if ((value === undefined || value === null) && fallback !== undefined) return fallback;
    if (!Array.isArray(value)) throw this.fail(key, "an array");
    return value;
  }

  /** A reader over a nested object. */
  reader(key: string): JsonReader {
    return JsonReader.of(this.value(key), this.at(key));
  }

  /** Readers over an array of objects. */
  readers(key: string, fallback?: JsonValue[]): JsonReader[] {
    // Not by `map`, which would leave the holes of a sparse array.
    return Array.from(this.array(key, fallback), (item, index) => JsonReader.of(item, `${this.at(key)}[${index}]`));
  }
}

/** Whether a value can be a token id: a whole number from 0 to 2^31 - 1. */
export function isIdentifier(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= 2147483647;
}

/**
 * Looks a part of the pipeline up by its `type`, and builds it.
 *
 * @throws ClozeError `TOKENIZER_UNKNOWN_TYPE` for a type that has no entry.
 */
export function buildByType<Part>(
  kind: string,
  registry: ReadonlyMap<string, (reader: JsonReader) => Part>,
  reader: JsonReader,
): Part {
  const type = reader.string("type");
  const factory = registry.get(type);
  if (!factory) {
    throw new ClozeError("TOKENIZER_UNKNOWN_TYPE", `tokenizer.json: "${reader.path}" has an unknown ${kind} type.`, {
      expected: [...registry.keys()].join(", "),
      received: describe(type),
      remedy: "Register the type, or convert the tokenizer to one of these.",
    });
  }
  return factory(reader);
}
