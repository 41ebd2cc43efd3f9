import { files, paths, writeFileAtomic } from "@cloze/tensor";
import { ClozeError } from "../errors.js";
import type { JsonObject, JsonValue } from "./json-reader.js";

const { existsSync, mkdirSync, readFileSync, statSync } = files;
const { basename, dirname, extname, join } = paths;

/** What a tokenizer's files hold. */
export interface TokenizerFiles {
  /** `tokenizer.json`. */
  readonly json: JsonObject;
  /** `tokenizer_config.json` beside it; null where there is none. */
  readonly config: JsonObject | null;
  /** `special_tokens_map.json` beside it; null where there is none. */
  readonly specialTokensMap: JsonObject | null;
}

/** Parses text that must hold a JSON object. */
export function parseJsonObject(text: string, where: string): JsonObject {
  let value: JsonValue;
  try {
    value = JSON.parse(text.charCodeAt(0) === 0xfeff ? text.slice(1) : text) as JsonValue;
  } catch (cause) {
    throw new ClozeError("TOKENIZER_INVALID_JSON", `${where} is not JSON.`, {
      expected: "a JSON object",
      received: text.trim() === "" ? "an empty file" : JSON.stringify(text.slice(0, 40)),
      remedy: "Download or save the tokenizer again.",
      cause,
    });
  }
  if (value === null || typeof value !== "object" || Array.isArray(value)) {
    throw new ClozeError("TOKENIZER_INVALID_JSON", `${where} does not hold a JSON object.`, {
      expected: "a JSON object",
      received: Array.isArray(value) ? "an array" : value === null ? "null" : `a ${typeof value}`,
      remedy: "Give the path of a tokenizer.json that Hugging Face tokenizers or Cloze has saved.",
    });
  }
  return value;
}

function readJson(path: string): JsonObject {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    throw new ClozeError("TOKENIZER_FILE_READ", `${path} could not be read.`, {
      received: cause instanceof Error ? cause.message : String(cause),
      remedy: "Check the path and its permissions.",
      cause,
    });
  }
  return parseJsonObject(text, path);
}

/**
 * Reads a tokenizer's files.
 *
 * @param path a `tokenizer.json`, or a folder that holds one.
 * @throws ClozeError `TOKENIZER_FILE_MISSING`, `TOKENIZER_FILE_READ`, `TOKENIZER_INVALID_JSON`.
 */
export function readTokenizerFiles(path: string): TokenizerFiles {
  const isFolder = existsSync(path) && statSync(path).isDirectory();
  const file = isFolder ? join(path, "tokenizer.json") : path;
  if (!existsSync(file)) {
    throw new ClozeError("TOKENIZER_FILE_MISSING", `There is no ${basename(file)} at ${file}.`, {
      expected: "a tokenizer.json, or a folder that holds one",
      received: isFolder ? "a folder without it" : "no such file",
      remedy: "Check the path; a tokenizer without a tokenizer.json must be converted first.",
    });
  }
  const beside = (name: string): JsonObject | null => {
    const other = join(dirname(file), name);
    return existsSync(other) && other !== file ? readJson(other) : null;
  };
  return {
    json: readJson(file),
    config: beside("tokenizer_config.json"),
    specialTokensMap: beside("special_tokens_map.json"),
  };
}

/**
 * Writes a tokenizer's files.
 *
 * @param path a file that ends in `.json`, or a folder, made where it is missing, that gets `tokenizer.json` and
 *   `tokenizer_config.json`.
 */
export function writeTokenizerFiles(path: string, json: JsonObject, config: JsonObject): void {
  const isFile = extname(path) === ".json" && !(existsSync(path) && statSync(path).isDirectory());
  const write = (file: string, value: JsonObject): void =>
    writeFileAtomic(file, `${JSON.stringify(value, undefined, 2)}\n`);
  try {
    mkdirSync(isFile ? dirname(path) : path, { recursive: true });
  } catch (cause) {
    throw new ClozeError("FILE_WRITE", `${path} could not be made.`, {
      received: cause instanceof Error ? cause.message : String(cause),
      remedy: "Check that the folder above it exists and may be written to.",
      cause,
    });
  }
  if (isFile) {
    write(path, json);
    return;
  }
  write(join(path, "tokenizer.json"), json);
  write(join(path, "tokenizer_config.json"), config);
}
