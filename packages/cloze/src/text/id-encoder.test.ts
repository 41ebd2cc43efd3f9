// Ids alone are what encoding in full gives, whatever was remembered from earlier texts.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { oracleConfigs } from "../../test/fixtures/tokenizers/oracle-configs.js";
import { ChunkCache, EMPTY_HASH, hashUnit } from "./chunk-cache.js";
import { tokenizerFromJson } from "./tokenizer.js";
import { trainUnigram } from "./trainers/unigram.js";

/** Few words and much white space, also such as normalizers make of other signs, so that chunks come again. */
const spaced = fc
  .array(
    fc.constantFrom(
      ..."a b ab the of hello don't it's é e\u0301 ´ ¨ \u200b \ufeff \u00a0 \u3000 \t \n \r\n \u2028 ▁ [MASK] <ent> , . 日 😀 \u0301 ﷺ".split(
        " ",
      ),
      " ",
      " ",
      " ",
      "  ",
      "   ",
    ),
    { maxLength: 14 },
  )
  .map((pieces) => pieces.join(""));

describe("encodeIds", () => {
  const configs = {
    ...oracleConfigs,
    "our Unigram": trainUnigram(["the of hello don't a b ab", "the of a´ b"], { vocabularySize: 60 }).toJson(),
  };
  for (const [name, json] of Object.entries(configs)) {
    it(`gives what encode gives for ${name}`, () => {
      const tokenizer = tokenizerFromJson(json);
      fc.assert(
        fc.property(spaced, (text) => {
          expect([...tokenizer.encodeIds(text)]).toEqual([...tokenizer.encode(text).ids]);
        }),
        { numRuns: 300, seed: 11 },
      );
    });
  }

  it("gives a new array each time", () => {
    const tokenizer = tokenizerFromJson(oracleConfigs["WordPiece, uncased"]);
    const first = tokenizer.encodeIds("the of the");
    const copy = [...first];
    tokenizer.encodeIds("hello hello hello");
    expect([...first]).toEqual(copy);
  });
});

describe("ChunkCache", () => {
  const hashOf = (text: string): number => {
    let hash = EMPTY_HASH;
    for (let unit = 0; unit < text.length; unit++) hash = hashUnit(hash, text.charCodeAt(unit));
    return hash;
  };

  it("finds what was added, also when it has forgotten the rest", () => {
    const cache = new ChunkCache(64);
    const chunks = fc.array(fc.string({ minLength: 1, maxLength: 30 }), { minLength: 1, maxLength: 300 });
    fc.assert(
      fc.property(chunks, (texts) => {
        for (const text of texts) {
          const ids = Int32Array.from({ length: text.length % 7 }, (_, at) => text.charCodeAt(at));
          const around = `<${text}>`;
          const end = 1 + text.length;
          if (!cache.find(around, 1, end, hashOf(text))) cache.add(around, 1, end, hashOf(text), ids);
          expect(cache.find(text, 0, text.length, hashOf(text))).toBe(true);
          expect([...cache.ids.subarray(cache.start, cache.end)]).toEqual([...ids]);
        }
      }),
      { numRuns: 50 },
    );
  });

  it("tells chunks with the same hash apart", () => {
    const cache = new ChunkCache(16);
    cache.add("one", 0, 3, 7, Int32Array.of(1));
    cache.add("two", 0, 3, 7, Int32Array.of(2));
    expect(cache.find("two", 0, 3, 7)).toBe(true);
    expect(cache.ids[cache.start]).toBe(2);
    expect(cache.find("six", 0, 3, 7)).toBe(false);
    expect(cache.find("on", 0, 2, 7)).toBe(false);
  });
});
