import { buildByType, isIdentifier, JsonReader } from "../json-reader.js";

/** One part of what a sequence, or a pair, is made into. */
export type TemplatePart =
  | { kind: "special"; ids: readonly number[]; tokens: readonly string[]; typeId: number }
  | { kind: "sequence"; index: 0 | 1; typeId: number };

/** A step that puts special tokens around sequences and says which type ids they get. */
export interface PostProcessor {
  /** The parts of a single sequence; null leaves the sequence as it is. */
  readonly single: readonly TemplatePart[] | null;
  /** The parts of a pair; null puts one after the other. */
  readonly pair: readonly TemplatePart[] | null;
  /** Whether offsets leave out white space, and whether a space was put before the text; null keeps offsets. */
  readonly trim: { addPrefixSpace: boolean } | null;
}

function special(token: readonly [string, number], typeId: number): TemplatePart {
  return { kind: "special", ids: [token[1]], tokens: [token[0]], typeId };
}

function sequence(index: 0 | 1, typeId: number): TemplatePart {
  return { kind: "sequence", index, typeId };
}

function readTokenAndId(reader: JsonReader, key: string): [string, number] {
  const [token, id, ...rest] = reader.array(key);
  if (typeof token !== "string" || !isIdentifier(id) || rest.length > 0) throw reader.fail(key, "[token, id]");
  return [token, id];
}

function readTrim(reader: JsonReader): PostProcessor["trim"] {
  const addPrefixSpace = reader.boolean("add_prefix_space", true);
  return reader.boolean("trim_offsets", true) ? { addPrefixSpace } : null;
}

function readBert(reader: JsonReader): PostProcessor {
  const sep = readTokenAndId(reader, "sep");
  const cls = readTokenAndId(reader, "cls");
  const single = [special(cls, 0), sequence(0, 0), special(sep, 0)];
  return { single, pair: [...single, sequence(1, 1), special(sep, 1)], trim: null };
}

function readRoberta(reader: JsonReader): PostProcessor {
  const sep = readTokenAndId(reader, "sep");
  const cls = readTokenAndId(reader, "cls");
  const single = [special(cls, 0), sequence(0, 0), special(sep, 0)];
  return { single, pair: [...single, special(sep, 0), sequence(1, 0), special(sep, 0)], trim: readTrim(reader) };
}

function readTemplate(reader: JsonReader): PostProcessor {
  const specials = reader.has("special_tokens") ? reader.reader("special_tokens") : JsonReader.of({}, "special_tokens");
  const read = (key: string): TemplatePart[] =>
    reader.readers(key).map((part) => {
      if (part.has("Sequence")) {
        const inner = part.reader("Sequence");
        if (key === "single" && inner.string("id") !== "A") throw inner.fail("id", "A, in a template for one text");
        return sequence(inner.choice("id", ["A", "B"]) === "A" ? 0 : 1, inner.integer("type_id", 0));
      }
      const inner = part.reader("SpecialToken");
      const id = inner.string("id");
      const token = specials.reader(id);
      const ids = token.array("ids");
      if (!ids.every(isIdentifier)) throw token.fail("ids", "token ids");
      const tokens = token.array("tokens");
      if (!tokens.every((text) => typeof text === "string") || tokens.length !== ids.length) {
        throw token.fail("tokens", "as many strings as ids");
      }
      return { kind: "special", ids, tokens, typeId: inner.integer("type_id", 0) } as TemplatePart;
    });
  return { single: read("single"), pair: reader.has("pair") ? read("pair") : null, trim: null };
}

/** The steps of a sequence, folded into one: the last template counts, and any step may trim. */
function readSequence(reader: JsonReader): PostProcessor {
  const steps = reader.readers("processors").map(readPostProcessor);
  let folded: PostProcessor = { single: null, pair: null, trim: null };
  for (const step of steps) {
    folded = {
      single: step.single ?? folded.single,
      pair: step.single ? step.pair : folded.pair,
      trim: step.trim ?? folded.trim,
    };
  }
  return folded;
}

/** Every post-processor type of `tokenizer.json`, and how it is read. Add a line here to add a type. */
export const postProcessors = new Map<string, (reader: JsonReader) => PostProcessor>([
  ["TemplateProcessing", readTemplate],
  ["BertProcessing", readBert],
  ["RobertaProcessing", readRoberta],
  ["ByteLevel", (reader) => ({ single: null, pair: null, trim: readTrim(reader) })],
  ["Sequence", readSequence],
]);

/** Builds a post-processor from its JSON. */
export function readPostProcessor(reader: JsonReader): PostProcessor {
  return buildByType("post-processor", postProcessors, reader);
}
