// A tokenizer.json with wrong types or unknown parts: a coded error, never a crash, never a broken tokenizer.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { oracleConfigs } from "../../test/fixtures/tokenizers/oracle-configs.js";
import { ClozeError } from "../errors.js";
import type { JsonObject, JsonValue } from "./json-reader.js";
import { tokenizerFromJson } from "./tokenizer.js";

const training = (name: string): JsonObject => {
  const url = new URL(`../../test/fixtures/tokenizers/training/${name}.json`, import.meta.url);
  return JSON.parse(readFileSync(fileURLToPath(url), "utf8")) as JsonObject;
};
const small = ["wordpiece", "bpe", "unigram"].map(training);

/** Models of a few hundred tokens with the parts of the larger ones. */
const documents: JsonObject[] = [
  ...small,
  ...Object.values(oracleConfigs).map((json) => {
    const { type } = json.model as { type: string };
    const model = small.find((other) => (other.model as { type: string }).type === type)?.model ?? json.model;
    return { ...json, model };
  }),
  {
    ...small[0],
    truncation: { direction: "Right", max_length: 8, strategy: "LongestFirst", stride: 0 },
    padding: {
      strategy: { Fixed: 8 },
      direction: "Left",
      pad_to_multiple_of: 4,
      pad_id: 0,
      pad_type_id: 0,
      pad_token: "[PAD]",
    },
    decoder: { type: "CTC", pad_token: "<pad>", word_delimiter_token: "|", cleanup: true },
    post_processor: {
      type: "Sequence",
      processors: [
        { type: "ByteLevel", add_prefix_space: true, trim_offsets: true },
        { type: "BertProcessing", sep: ["[SEP]", 3], cls: ["[CLS]", 2] },
      ],
    },
  },
];

/** All paths of a document, without most of a vocabulary. */
function pathsOf(value: JsonValue, path: (string | number)[] = []): (string | number)[][] {
  if (value === null || typeof value !== "object") return [path];
  const keys: (string | number)[] = Array.isArray(value) ? [...value.keys()] : Object.keys(value);
  const inner = keys
    .slice(0, 30)
    .flatMap((key) => pathsOf((value as Record<string | number, JsonValue>)[key], [...path, key]));
  return [path, ...inner];
}

function replaceAt(value: JsonValue, path: readonly (string | number)[], by: JsonValue | undefined): JsonValue {
  if (path.length === 0) return by ?? null;
  const [key, ...rest] = path;
  const copy = (Array.isArray(value) ? [...value] : { ...(value as JsonObject) }) as Record<string | number, JsonValue>;
  if (rest.length === 0 && by === undefined) delete copy[key];
  else copy[key] = replaceAt(copy[key], rest, by);
  return copy as JsonValue;
}

const junk: fc.Arbitrary<JsonValue | undefined> = fc.oneof(
  fc.constantFrom<JsonValue | undefined>(
    undefined,
    null,
    true,
    0,
    -1,
    1.5,
    1e300,
    2147483647,
    "",
    "x",
    "[UNK]",
    "(",
    [],
    {},
    [[]],
    [null],
    { type: "Nothing" },
    { type: "__proto__" },
    { type: "constructor" },
    { String: "" },
    { Regex: "(?<" },
    { Regex: "a{99999999999}" },
  ),
  fc.jsonValue({ maxDepth: 2 }) as fc.Arbitrary<JsonValue>,
);

describe("a damaged tokenizer.json", () => {
  it("gives a tokenizer or a coded error", () => {
    let refused = 0;
    let used = 0;
    const run = (json: unknown): void => {
      try {
        const tokenizer = tokenizerFromJson(json);
        const { ids } = tokenizer.encode("the Of 1 <s> é", { pair: "b" });
        tokenizer.encodeIds("the Of 1 <s> é");
        expect(typeof tokenizer.decode(ids)).toBe("string");
        used++;
      } catch (error) {
        if (!(error instanceof ClozeError)) throw error;
        expect(error.code).toMatch(/^TOKENIZER_[A-Z_]+$/);
        expect(error.message.length).toBeGreaterThan(20);
        refused++;
      }
    };
    const damaged = fc.constantFrom(...documents).chain((document) =>
      fc.array(fc.tuple(fc.constantFrom(...pathsOf(document)), junk), { minLength: 1, maxLength: 2 }).map((changes) =>
        changes.reduce<JsonValue>((json, [path, by]) => {
          try {
            return replaceAt(json, path, by);
          } catch {
            return json; // The first change took away what the second would have changed.
          }
        }, document),
      ),
    );
    documents.forEach(run);
    expect({ used, refused }).toEqual({ used: documents.length, refused: 0 });
    fc.assert(fc.property(damaged, run), { numRuns: 2000, seed: 7 });
    expect(refused).toBeGreaterThan(300);
    expect(used).toBeGreaterThan(100);
  });

  it("is refused with the path of what is wrong", () => {
    const [json] = small;
    const message = (parts: JsonObject): string => {
      try {
        tokenizerFromJson({ ...json, ...parts });
        return "";
      } catch (error) {
        return (error as ClozeError).message;
      }
    };
    expect(message({ normalizer: { type: "Shout" } })).toMatch(/"normalizer" has an unknown normalizer type.*"Shout"/);
    expect(message({ pre_tokenizer: { type: "Sequence", pretokenizers: [{ type: "Digits", individual_digits: 3 }] } })) //
      .toMatch(/"pre_tokenizer.pretokenizers\[0\].individual_digits".*true or false; received 3/);
    expect(message({ added_tokens: [{ content: 5 }] })).toContain("added_tokens[0].content");
    expect(message({ model: { type: "WordPiece", vocab: { a: "b" } } })).toContain("model.vocab");
    expect(message({ model: 5 })).toContain('"model"');
    expect(message({ truncation: { max_length: -1 } })).toContain("truncation.max_length");
    expect(message({ padding: { strategy: { Fixed: "x" } } })).toContain("padding.strategy.Fixed");
  });

  it("may be nested as deep as it likes", () => {
    let normalizer: JsonObject = { type: "NFC" };
    for (let depth = 0; depth < 50_000; depth++) normalizer = { type: "Sequence", normalizers: [normalizer] };
    expect(() => tokenizerFromJson({ ...small[0], normalizer })).toThrow(ClozeError);
  });

  it("keeps tokens with the names of object properties", () => {
    const text = '{"model":{"type":"WordLevel","vocab":{"__proto__":0,"constructor":1,"7":2},"unk_token":"7"},"x":1}';
    const tokenizer = tokenizerFromJson(text);
    expect(tokenizer.tokenToId("__proto__")).toBe(0);
    expect(tokenizer.tokenToId("constructor")).toBe(1);
    expect(tokenizer.tokenToId("toString")).toBeUndefined();
    expect(JSON.parse(JSON.stringify(tokenizer.toJson()))).toEqual(JSON.parse(text));
  });
});
