// Our tokenizers against the packages `tokenizers` (the reference) and `@huggingface/tokenizers`, on random text.
import { Tokenizer as PlainReference } from "@huggingface/tokenizers";
import fc from "fast-check";
import { Tokenizer as Reference } from "tokenizers";
import { describe, expect, it } from "vitest";
import { golden, hardText, oracleConfigs, plainText } from "../../test/fixtures/tokenizers/oracle-configs.js";
import type { JsonObject } from "./json-reader.js";
import { tokenizerFromJson } from "./tokenizer.js";
import { codePointIndex, wellFormed } from "./unicode.js";

const RUNS = { numRuns: 80, seed: 42 };

describe("tokenizers", () => {
  for (const [name, json] of Object.entries(oracleConfigs)) {
    it(`agrees on ${name}`, async () => {
      const reference = Reference.fromString(JSON.stringify(json));
      const ours = tokenizerFromJson(json);
      await fc.assert(
        fc.asyncProperty(hardText, fc.option(hardText, { nil: undefined, freq: 4 }), async (text, pair) => {
          const expected = await reference.encode(text, pair ?? null);
          const encoding = ours.encode(text, { pair });
          expect([...encoding.ids]).toEqual(expected.getIds());
          expect([...ours.encodeIds(text, { pair })]).toEqual(expected.getIds());
          expect(encoding.tokens).toEqual(expected.getTokens());
          expect([...encoding.typeIds]).toEqual(expected.getTypeIds());
          expect([...encoding.specialTokensMask]).toEqual(expected.getSpecialTokensMask());
          expect(encoding.wordIds).toEqual(expected.getWordIds().map((word) => word ?? null));
          expect(encoding.sequenceIds).toEqual(expected.getSequenceIds().map((sequence) => sequence ?? null));
          const indexes = [text, pair ?? ""].map((each) => codePointIndex(wellFormed(each)));
          const offsets = encoding.offsets.map((range, at) =>
            range.map((offset) => indexes[encoding.sequenceIds[at] ?? 0][offset]),
          );
          expect(offsets).toEqual(expected.getOffsets());
          for (const skipSpecialTokens of [true, false]) {
            const decoded = await reference.decode(expected.getIds(), skipSpecialTokens);
            expect(ours.decode(encoding.ids, { skipSpecialTokens })).toBe(decoded);
          }
        }),
        RUNS,
      );
    });
  }

  const base = golden("wordpiece-uncased");
  const truncation = fc.record({
    max_length: fc.integer({ min: 4, max: 16 }),
    strategy: fc.constantFrom("LongestFirst", "OnlyFirst", "OnlySecond"),
    stride: fc.constant(0),
    direction: fc.constantFrom("Left", "Right"),
  });
  const padding = fc.record({
    strategy: fc.oneof(
      fc.constant("BatchLongest"),
      fc.record({ Fixed: fc.integer({ min: 1, max: 24 }) }) as fc.Arbitrary<JsonObject>,
    ),
    direction: fc.constantFrom("Left", "Right"),
    pad_to_multiple_of: fc.constantFrom(null, 8),
    pad_id: fc.constant(0),
    pad_type_id: fc.constant(1),
    pad_token: fc.constant("[PAD]"),
  });

  it("agrees on truncation and padding", async () => {
    await fc.assert(
      fc.asyncProperty(
        truncation,
        fc.option(padding),
        plainText,
        fc.option(plainText, { nil: undefined }),
        async (cut, fill, text, pair) => {
          const json = { ...base, truncation: cut, padding: fill };
          const ours = tokenizerFromJson(json);
          const expected = await Reference.fromString(JSON.stringify(json))
            .encode(text, pair ?? null)
            .catch(() => null);
          if (!expected) {
            expect(() => ours.encode(text, { pair })).toThrow(
              expect.objectContaining({ code: "TOKENIZER_TRUNCATION" }),
            );
            return;
          }
          const encoding = ours.encode(text, {
            pair,
            truncation: ours.truncation !== null && { ...ours.truncation, pairLengths: "filled" },
          });
          expect([...encoding.ids]).toEqual(expected.getIds());
          expect([...encoding.typeIds]).toEqual(expected.getTypeIds());
          expect([...encoding.attentionMask]).toEqual(expected.getAttentionMask());
          expect([...encoding.specialTokensMask]).toEqual(expected.getSpecialTokensMask());
          expect(encoding.tokens).toEqual(expected.getTokens());
          // What the reference gives of the rest is no longer whole: it stops when it has enough.
          expect(encoding.overflowing.length).toBeGreaterThanOrEqual(expected.getOverflowing().length);
        },
      ),
      { ...RUNS, numRuns: 300 },
    );
  });
});

describe("@huggingface/tokenizers", () => {
  for (const name of ["wordpiece-uncased", "wordpiece-cased", "bpe-bytelevel", "unigram-metaspace"]) {
    it(`agrees on ${name}, on text as people write it`, () => {
      const json = golden(name);
      const reference = new PlainReference(json, {});
      const ours = tokenizerFromJson(json);
      fc.assert(
        fc.property(plainText, (text) => {
          expect([...ours.encodeIds(text)]).toEqual(reference.encode(text).ids);
        }),
        RUNS,
      );
    });
  }
});
