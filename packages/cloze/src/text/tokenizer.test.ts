import { existsSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import type { JsonObject } from "./json-reader.js";
import { loadTokenizer, type Tokenizer, tokenizerFromJson } from "./tokenizer.js";

const fixtures = fileURLToPath(new URL("../../test/fixtures/tokenizers", import.meta.url));
const uncased = loadTokenizer(join(fixtures, "wordpiece-uncased"));
const bytes = loadTokenizer(join(fixtures, "bpe-bytelevel"));
const unigram = loadTokenizer(join(fixtures, "unigram-metaspace"));

const withJson = (tokenizer: Tokenizer, parts: JsonObject): Tokenizer =>
  tokenizerFromJson({ ...tokenizer.toJson(), ...parts });

const added = (content: string, parts: JsonObject = {}): JsonObject => ({
  id: 4000,
  content,
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
  special: false,
  ...parts,
});

describe("encode", () => {
  it("gives everything about each token", () => {
    const text = "Hello, the World";
    const { ids, tokens, offsets, typeIds, specialTokensMask, wordIds, sequenceIds, overflowing } =
      uncased.encode(text);
    expect(tokens).toEqual(["[CLS]", "he", "##l", "##lo", ",", "the", "wor", "##l", "##d", "[SEP]"]);
    expect([...ids]).toEqual(tokens.map((token) => uncased.tokenToId(token)));
    expect(offsets.map(([start, end]) => text.slice(start, end))).toEqual(
      ["", "He", "l", "lo", ",", "the", "Wor", "l", "d", ""], // in the case of the text
    );
    expect([...typeIds]).toEqual(new Array(10).fill(0));
    expect([...specialTokensMask]).toEqual([1, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    expect(wordIds).toEqual([null, 0, 0, 0, 1, 2, 3, 3, 3, null]);
    expect(sequenceIds).toEqual([null, 0, 0, 0, 0, 0, 0, 0, 0, null]);
    expect(overflowing).toEqual([]);
  });

  it("counts offsets in UTF-16 units", () => {
    const text = "😀 the 𝔸 of";
    const { offsets, tokens } = uncased.encode(text, { addSpecialTokens: false });
    expect(offsets.map(([start, end]) => text.slice(start, end))).toEqual(["😀", "the", "𝔸", "of"]);
    expect(tokens[1]).toBe("the");
  });

  it("puts a pair into two segments", () => {
    const { tokens, typeIds, sequenceIds } = uncased.encode("the", { pair: "of" });
    expect(tokens).toEqual(["[CLS]", "the", "[SEP]", "of", "[SEP]"]);
    expect([...typeIds]).toEqual([0, 0, 0, 1, 1]);
    expect(sequenceIds).toEqual([null, 0, null, 1, null]);
    expect(bytes.encode("a", { pair: "b" }).tokens).toEqual(["<s>", "a", "</s>", "</s>", "b", "</s>"]);
  });

  it("refuses what is not text", () => {
    expect(() => uncased.encode(5 as unknown as string)).toThrow(expect.objectContaining({ code: "TOKENIZER_INPUT" }));
    expect(() => uncased.encodeIds(null as unknown as string)).toThrow(
      expect.objectContaining({ code: "TOKENIZER_INPUT" }),
    );
  });

  it("takes NUL, lone surrogates and a megabyte without a space", () => {
    for (const text of ["\0", "\ud800", "a\udc00b", "x".repeat(1_000_000), "\u0301".repeat(1000)]) {
      for (const tokenizer of [uncased, bytes, unigram]) {
        expect([...tokenizer.encodeIds(text)]).toEqual([...tokenizer.encode(text).ids]);
      }
    }
  });
});

describe("truncation", () => {
  const text = "the of the of the of the";

  it("keeps the start and gives the rest as windows", () => {
    const encoding = uncased.encode(text, { truncation: { maxLength: 5, stride: 1 } });
    expect(encoding.tokens).toEqual(["[CLS]", "the", "of", "the", "[SEP]"]);
    expect(encoding.overflowing.map(({ tokens }) => tokens.join(" "))).toEqual([
      "[CLS] the of the [SEP]",
      "[CLS] the of the [SEP]",
    ]);
    expect(encoding.overflowing[1].offsets[1]).toEqual([14, 17]);
  });

  it("cuts the left end where asked", () => {
    const truncation = { maxLength: 4, direction: "left" } as const;
    expect(uncased.encode(text, { truncation }).offsets).toEqual([
      [0, 0],
      [18, 20],
      [21, 24],
      [0, 0],
    ]);
    expect([...uncased.encodeIds(text, { truncation })]).toEqual([...uncased.encode(text, { truncation }).ids]);
  });

  it("shares the room of a pair, or takes it from one text", () => {
    const lengths = (strategy: "longest-first" | "only-first" | "only-second", first: string, second: string) => {
      const truncation = { maxLength: 9, strategy };
      const { sequenceIds, ids } = uncased.encode(first, { pair: second, truncation });
      expect([...uncased.encodeIds(first, { pair: second, truncation })]).toEqual([...ids]);
      return [0, 1].map((index) => sequenceIds.filter((id) => id === index).length);
    };
    expect(lengths("longest-first", text, "of")).toEqual([5, 1]);
    expect(lengths("longest-first", text, text)).toEqual([3, 3]);
    expect(lengths("only-first", text, "of of of")).toEqual([3, 3]);
    expect(lengths("only-second", "of of of", text)).toEqual([3, 3]);
  });

  it("gives every combination of the windows of a pair", () => {
    const { overflowing } = uncased.encode("the of the", { pair: "of the of", truncation: { maxLength: 7 } });
    expect(overflowing.map(({ tokens }) => tokens.join(" "))).toEqual([
      "[CLS] the [SEP] of the [SEP]",
      "[CLS] the [SEP] of [SEP]",
      "[CLS] the of [SEP] of [SEP]",
    ]);
  });

  it("never gives more than the most, whatever the pair", () => {
    for (const addSpecialTokens of [true, false]) {
      for (const pair of [undefined, "", "of", text]) {
        for (let maxLength = 3; maxLength < 12; maxLength++) {
          const options = { pair, addSpecialTokens, truncation: { maxLength } };
          expect(uncased.encode(text, options).ids.length).toBeLessThanOrEqual(maxLength);
          expect([...uncased.encodeIds(text, options)]).toEqual([...uncased.encode(text, options).ids]);
        }
      }
    }
  });

  it("says what is wrong with the options", () => {
    const attempt = (truncation: { maxLength: number; stride?: number; strategy?: "only-second" }, pair?: string) => {
      return () => uncased.encode(text, { pair, truncation });
    };
    const failure = expect.objectContaining({ code: "TOKENIZER_TRUNCATION" });
    expect(attempt({ maxLength: 1 })).toThrow(failure);
    expect(attempt({ maxLength: -1 })).toThrow(failure);
    expect(attempt({ maxLength: 2.5 })).toThrow(failure);
    expect(attempt({ maxLength: Number.NaN })).toThrow(failure);
    expect(attempt({ maxLength: 5, stride: 3 })).toThrow(failure);
    expect(attempt({ maxLength: 5, strategy: "only-second" })).toThrow(failure);
    expect(attempt({ maxLength: 5, strategy: "only-second" }, "of")).toThrow(failure);
  });
});

describe("padding", () => {
  it("goes to the longest of a batch, to a length, to a multiple", () => {
    const padding = { padId: 0, padToken: "[PAD]" };
    const [first, second] = uncased.encodeBatch(["the", ["of the", "of"]], { padding });
    expect(first.tokens).toEqual(["[CLS]", "the", "[SEP]", "[PAD]", "[PAD]", "[PAD]"]);
    expect([...first.attentionMask]).toEqual([1, 1, 1, 0, 0, 0]);
    expect([...first.specialTokensMask]).toEqual([1, 0, 1, 1, 1, 1]);
    expect(second.tokens.length).toBe(6);
    expect(uncased.encode("the", { padding: { length: 5 } }).ids.length).toBe(5);
    expect(uncased.encode("the", { padding: { multipleOf: 8 } }).ids.length).toBe(8);
    expect(uncased.encode("the", { padding: { length: 4, direction: "left" } }).tokens[0]).toBe("[PAD]");
  });

  it("and truncation are as the file says, unless told otherwise", () => {
    const tokenizer = withJson(uncased, {
      truncation: { max_length: 4, strategy: "LongestFirst", stride: 0, direction: "Right" },
      padding: {
        strategy: { Fixed: 6 },
        direction: "Right",
        pad_to_multiple_of: null,
        pad_id: 0,
        pad_type_id: 0,
        pad_token: "[PAD]",
      },
    });
    expect(tokenizer.encode("the of the").tokens).toEqual(["[CLS]", "the", "of", "[SEP]", "[PAD]", "[PAD]"]);
    expect(tokenizer.encodeIds("the of the").length).toBe(4);
    expect(tokenizer.encode("the of the", { truncation: false, padding: false }).ids.length).toBe(5);
    expect(tokenizer.encodeIds("the of the", { truncation: false }).length).toBe(5);
  });
});

describe("added tokens", () => {
  const tokensOf = (tokenizer: Tokenizer, text: string): string[] => [
    ...tokenizer.encode(text, { addSpecialTokens: false }).tokens,
  ];

  it("are found in the text as it came, with the white space that they take along", () => {
    const tokenizer = withJson(uncased, { added_tokens: [added("[MASK]", { lstrip: true, rstrip: true })] });
    expect(tokensOf(tokenizer, "the  [MASK]\tof")).toEqual(["the", "  [MASK]\t", "of"]);
    expect(tokensOf(tokenizer, "the [mask] of")).not.toContain("[mask]");
    expect([...tokenizer.encodeIds("the [MASK] of", { addSpecialTokens: false })]).toEqual(
      ["the", "[MASK]", "of"].map((token) => tokenizer.tokenToId(token)),
    );
  });

  it("are found in the normalized text where they are to be normalized", () => {
    const tokenizer = withJson(uncased, { added_tokens: [added("New York", { normalized: true })] });
    expect(tokensOf(tokenizer, "the NEW YORK")).toEqual(["the", "new york"]);
    expect(tokenizer.tokenToId("New York")).toBe(4000);
    expect(tokenizer.idToToken(4000)).toBe("New York");
  });

  it("stand alone where they are single words", () => {
    const tokenizer = withJson(uncased, { added_tokens: [added("qq", { single_word: true, special: true })] });
    expect(tokenizer.specialIds.has(4000)).toBe(true);
    expect([...tokenizer.encode("qqs aqq éqq qq_").ids]).not.toContain(4000);
    expect(tokenizer.encode("qq").ids[1]).toBe(4000);
    expect(tokensOf(tokenizer, "-qq. qq")).toEqual(["-", "qq", ".", "qq"]);
  });

  it("get the next free ids", () => {
    const tokenizer = withJson(uncased, { added_tokens: [added("<a>"), added("<b>", { id: 9000 }), added("the")] });
    expect(["<a>", "<b>"].map((token) => tokenizer.tokenToId(token))).toEqual([4000, 4001]);
    expect(tokenizer.tokenToId("the")).toBe(uncased.tokenToId("the"));
    expect(tokenizer.vocabularySize).toBe(4002);
  });
});

describe("the vocabulary", () => {
  it("knows its special tokens", () => {
    expect([uncased.padId, uncased.unknownId, uncased.clsId, uncased.sepId, uncased.maskId]).toEqual([0, 1, 2, 3, 4]);
    expect([bytes.clsId, bytes.padId, bytes.sepId, bytes.unknownId, bytes.maskId]).toEqual([0, 1, 2, 3, 4]);
    expect([unigram.padId, unigram.unknownId, unigram.clsId]).toEqual([0, 1, 2]);
    expect([...uncased.specialIds].sort()).toEqual([0, 1, 2, 3, 4]);
    const plain = tokenizerFromJson({ model: { type: "WordLevel", vocab: { a: 0 }, unk_token: "a" } });
    expect(() => plain.maskId).toThrow(expect.objectContaining({ code: "TOKENIZER_NO_SPECIAL_TOKEN" }));
    expect(plain.roles).toEqual({ unknown: 0 });
  });

  it("tells tokens that go on with a word", () => {
    const parts = (tokenizer: Tokenizer, text: string) => {
      const { ids } = tokenizer.encode(text);
      return [...ids].map((id) => (tokenizer.isContinuation(id) ? "+" : "") + tokenizer.idToToken(id));
    };
    expect(parts(uncased, "hello")).toEqual(["[CLS]", "he", "+##l", "+##lo", "[SEP]"]);
    expect(parts(bytes, " world")).toEqual(["<s>", "ĠW", "+or", "+ld", "</s>"].map((x) => x.replace("ĠW", "Ġw")));
    expect(parts(unigram, "hello")).toEqual(["[CLS]", "▁he", "+l", "+lo", "[SEP]"]);
  });
});

describe("decode", () => {
  it("gives the text back", () => {
    const text = "Hello, 😀 wörld!\n  ";
    expect(bytes.decode(bytes.encodeIds(text))).toBe(text);
    expect(uncased.decode(uncased.encodeIds("The of, the."))).toBe("the of, the.");
    expect(uncased.decode(uncased.encodeIds("the"), { skipSpecialTokens: false })).toBe("[CLS] the [SEP]");
    expect(unigram.decode(unigram.encodeIds("the of"))).toBe("the of");
  });

  it("leaves out ids that there are not", () => {
    expect(uncased.decode([2, 99999, -1, uncased.tokenToId("the")!])).toBe("the");
  });
});

describe("files", () => {
  it("are written back as they were read", () => {
    const folder = mkdtempSync(join(tmpdir(), "cloze-tokenizer-"));
    for (const tokenizer of [uncased, bytes, unigram]) {
      tokenizer.save(join(folder, "a.json"));
      expect(JSON.parse(readFileSync(join(folder, "a.json"), "utf8"))).toEqual(tokenizer.toJson());
      tokenizer.save(join(folder, "b", "c"));
      const loaded = loadTokenizer(join(folder, "b", "c"));
      expect(loaded.toJson()).toEqual(tokenizer.toJson());
      expect([...loaded.encodeIds("Hello world")]).toEqual([...tokenizer.encodeIds("Hello world")]);
    }
    const config = JSON.parse(readFileSync(join(folder, "b", "c", "tokenizer_config.json"), "utf8")) as JsonObject;
    expect(config).toMatchObject({
      tokenizer_class: "PreTrainedTokenizerFast",
      pad_token: "<pad>",
      mask_token: "[MASK]",
    });
  });

  it("beside tokenizer.json name special tokens, and are kept", () => {
    const folder = mkdtempSync(join(tmpdir(), "cloze-tokenizer-"));
    uncased.save(join(folder, "tokenizer.json"));
    const config = { model_max_length: 64, mask_token: { content: "the" }, cls_token: "of" };
    writeFileSync(join(folder, "tokenizer_config.json"), JSON.stringify(config));
    const tokenizer = loadTokenizer(folder);
    expect(tokenizer.maskId).toBe(tokenizer.tokenToId("the"));
    expect(tokenizer.clsId).toBe(tokenizer.tokenToId("of"));
    tokenizer.save(join(folder, "again"));
    expect(JSON.parse(readFileSync(join(folder, "again", "tokenizer_config.json"), "utf8"))).toEqual(config);
  });

  it("that are missing or no JSON are reported", () => {
    const folder = mkdtempSync(join(tmpdir(), "cloze-tokenizer-"));
    expect(() => loadTokenizer(folder)).toThrow(expect.objectContaining({ code: "TOKENIZER_FILE_MISSING" }));
    expect(() => loadTokenizer(join(folder, "x.json"))).toThrow(
      expect.objectContaining({ code: "TOKENIZER_FILE_MISSING" }),
    );
    for (const text of ["", "{", "[]", "null", "5", "\0"]) {
      writeFileSync(join(folder, "tokenizer.json"), text);
      expect(() => loadTokenizer(folder)).toThrow(expect.objectContaining({ code: "TOKENIZER_INVALID_JSON" }));
    }
    writeFileSync(join(folder, "file"), "");
    expect(() => uncased.save(join(folder, "file", "inside"))).toThrow(expect.objectContaining({ code: "FILE_WRITE" }));
    expect(existsSync(join(folder, "file", "inside"))).toBe(false);
  });
});
