import { CHARACTER_BYTES } from "../byte-alphabet.js";
import { buildByType, type JsonReader } from "../json-reader.js";
import { type Pattern, readPattern } from "../pattern.js";
import { readMetaspaceFields } from "../pre-tokenizers/metaspace.js";

/** A step that turns tokens back into text: from a list of strings to another, joined at the end. */
export type Decoder = (tokens: readonly string[]) => string[];

const encoder = new TextEncoder();
const lossy = new TextDecoder("utf-8", { ignoreBOM: true });
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

const CLEANUPS: readonly (readonly [string, string])[] = [
  [" .", "."],
  [" ?", "?"],
  [" !", "!"],
  [" ,", ","],
  [" ' ", "'"],
  [" n't", "n't"],
  [" 'm", "'m"],
  [" do not", " don't"],
  [" 's", "'s"],
  [" 've", "'ve"],
  [" 're", "'re"],
];

/** Takes the spaces out that tokenizing put before English punctuation and contractions. */
export function cleanUpSpaces(text: string): string {
  let clean = text;
  for (const [from, to] of CLEANUPS) clean = clean.replaceAll(from, to);
  return clean;
}

function wordPieceDecoder(reader: JsonReader): Decoder {
  const prefix = reader.string("prefix", "##");
  const cleanup = reader.boolean("cleanup", true);
  return (tokens) =>
    tokens.map((token, index) => {
      const text = index === 0 ? token : token.startsWith(prefix) ? token.slice(prefix.length) : ` ${token}`;
      return cleanup ? cleanUpSpaces(text) : text;
    });
}

const byteLevelDecoder: Decoder = (tokens) => {
  const bytes: number[] = [];
  for (const token of tokens) {
    const own: number[] = [];
    for (const character of token) {
      const byte = CHARACTER_BYTES.get(character);
      if (byte === undefined) break;
      own.push(byte);
    }
    // A token with other characters is text already.
    for (const byte of own.length === [...token].length ? own : encoder.encode(token)) bytes.push(byte);
  }
  return [lossy.decode(Uint8Array.from(bytes))];
};

function metaspaceDecoder(reader: JsonReader): Decoder {
  const { replacement, prependScheme } = readMetaspaceFields(reader);
  return (tokens) =>
    tokens.map((token, index) => token.replaceAll(replacement, index === 0 && prependScheme !== "never" ? "" : " "));
}

function bpeDecoder(reader: JsonReader): Decoder {
  const suffix = reader.string("suffix", "</w>");
  return (tokens) =>
    tokens.map((token, index) =>
      suffix === "" ? token : token.replaceAll(suffix, index === tokens.length - 1 ? "" : " "),
    );
}

const byteFallbackDecoder: Decoder = (tokens) => {
  const out: string[] = [];
  let bytes: number[] = [];
  const flush = (): void => {
    if (bytes.length === 0) return;
    try {
      out.push(strict.decode(Uint8Array.from(bytes)));
    } catch {
      for (let count = 0; count < bytes.length; count++) out.push("\ufffd");
    }
    bytes = [];
  };
  for (const token of tokens) {
    const match = /^<0x([0-9A-Fa-f]{2})>$/.exec(token);
    if (match) {
      bytes.push(Number.parseInt(match[1], 16));
    } else {
      flush();
      out.push(token);
    }
  }
  flush();
  return out;
};

function stripDecoder(reader: JsonReader): Decoder {
  const content = reader.character("content", " ");
  const start = reader.integer("start", 0);
  const stop = reader.integer("stop", 0);
  return (tokens) =>
    tokens.map((token) => {
      const characters = [...token];
      let from = 0;
      let to = characters.length;
      while (from < start && from < to && characters[from] === content) from++;
      for (let taken = 0; taken < stop && to > from && characters[to - 1] === content; taken++) to--;
      return characters.slice(from, to).join("");
    });
}

function replaceAllMatches(text: string, pattern: Pattern, content: string): string {
  let out = "";
  let copied = 0;
  for (const [start, end] of pattern.find(text)) {
    out += text.slice(copied, start) + content;
    copied = end;
  }
  return out + text.slice(copied);
}

function replaceDecoder(reader: JsonReader): Decoder {
  const pattern = readPattern(reader, "pattern");
  const content = reader.string("content");
  return (tokens) => tokens.map((token) => replaceAllMatches(token, pattern, content));
}

function ctcDecoder(reader: JsonReader): Decoder {
  const pad = reader.string("pad_token", "<pad>");
  const delimiter = reader.string("word_delimiter_token", "|");
  const cleanup = reader.boolean("cleanup", true);
  return (tokens) =>
    tokens
      .filter((token, index) => index === 0 || token !== tokens[index - 1])
      .map((token) => {
        const text = pad === "" ? token : token.replaceAll(pad, "");
        if (!cleanup) return text;
        const clean = cleanUpSpaces(text);
        return delimiter === "" ? clean : clean.replaceAll(delimiter, " ");
      })
      .filter((token) => token !== "");
}

function sequenceDecoder(reader: JsonReader): Decoder {
  const steps = reader.readers("decoders").map(readDecoder);
  return (tokens) => steps.reduce((current, step) => step(current), [...tokens]);
}

/** Every decoder type of `tokenizer.json`, and how it is read. Add a line here to add a type. */
export const decoders = new Map<string, (reader: JsonReader) => Decoder>([
  ["WordPiece", wordPieceDecoder],
  ["ByteLevel", () => byteLevelDecoder],
  ["Metaspace", metaspaceDecoder],
  ["BPEDecoder", bpeDecoder],
  ["ByteFallback", () => byteFallbackDecoder],
  ["Fuse", () => (tokens) => [tokens.join("")]],
  ["Strip", stripDecoder],
  ["Replace", replaceDecoder],
  ["CTC", ctcDecoder],
  ["Sequence", sequenceDecoder],
]);

/** Builds a decoder from its JSON. */
export function readDecoder(reader: JsonReader): Decoder {
  return buildByType("decoder", decoders, reader);
}
