import fc from "fast-check";
import { Tokenizer as Reference } from "tokenizers";
import { expect, test } from "vitest";
import { hardText } from "../../../test/fixtures/tokenizers/oracle-configs.js";
import { trainWordLevel } from "./word-level.js";

const corpus = ["The cat sat. The cat ran!", "A déjà vu: the dog  sat", "多 text 𝒳 tab\there\nthere"];

test.each([
  ["words", {}],
  ["words", { lowercase: false, minFrequency: 2 }],
  ["characters", {}],
  ["characters", { vocabularySize: 15 }],
] as const)("%s, %o: the other package reads it and gives the same ids", async (unit, options) => {
  const tokenizer = trainWordLevel(corpus, { unit, ...options });
  const reference = Reference.fromString(JSON.stringify(tokenizer.toJson()));
  expect(reference.getVocabSize()).toBe(tokenizer.vocabularySize);
  await fc.assert(
    fc.asyncProperty(fc.oneof(hardText, fc.constantFrom(...corpus)), async (text) => {
      const ids = (await reference.encode(text)).getIds();
      expect([...tokenizer.encodeIds(text)]).toEqual(ids);
      expect(tokenizer.decode(ids)).toBe(await reference.decode(ids, true));
    }),
    { numRuns: 100, seed: 3 },
  );
});

test("units are words or characters, the most frequent first", () => {
  const words = trainWordLevel(corpus, { vocabularySize: 8 });
  expect(words.encode("The cat, a mat").tokens).toEqual(["[CLS]", "the", "cat", "[UNK]", "[UNK]", "[UNK]", "[SEP]"]);
  const letters = trainWordLevel(corpus, { unit: "characters" });
  expect(letters.encode("The CAT").tokens).toEqual(["[CLS]", "t", "h", "e", " ", "c", "a", "t", "[SEP]"]);
  expect(letters.decode(letters.encodeIds("The cat"))).toBe("the cat");
});

test("bad options are refused", () => {
  const code = (value: string) => expect.objectContaining({ code: value });
  expect(() => trainWordLevel([])).toThrow(code("TOKENIZER_EMPTY_CORPUS"));
  expect(() => trainWordLevel(corpus, { vocabularySize: 5 })).toThrow(code("TOKENIZER_TRAINER_OPTIONS"));
});
