import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Tokenizer as PlainReference } from "@huggingface/tokenizers";
import fc from "fast-check";
import { Tokenizer as Reference } from "tokenizers";
import { describe, expect, it } from "vitest";
import { hardText, plainText } from "../../../test/fixtures/tokenizers/oracle-configs.js";
import type { Tokenizer } from "../tokenizer.js";
import { wellFormed } from "../unicode.js";
import { trainBpe } from "./bpe.js";
import { trainUnigram } from "./unigram.js";
import { trainWordPiece } from "./word-piece.js";

const folder = fileURLToPath(new URL("../../../test/fixtures/tokenizers/training", import.meta.url));
const corpus = readFileSync(join(folder, "corpus.txt"), "utf8").split("\n");

const trained: Readonly<Record<string, Tokenizer>> = {
  WordPiece: trainWordPiece(corpus, { vocabularySize: 500 }),
  "WordPiece, cased": trainWordPiece(corpus, { vocabularySize: 500, lowercase: false, specialTokens: ["[X]"] }),
  BPE: trainBpe(corpus, { vocabularySize: 500 }),
  "BPE with a prefix space": trainBpe(corpus, { vocabularySize: 500, addPrefixSpace: true }),
  Unigram: trainUnigram(corpus, { vocabularySize: 500 }),
  "Unigram, cased": trainUnigram(corpus, { vocabularySize: 500, lowercase: false }),
};

describe("a trained tokenizer", () => {
  for (const [name, tokenizer] of Object.entries(trained)) {
    it(`(${name}) is read by the other packages, which give the same ids`, async () => {
      const json = JSON.stringify(tokenizer.toJson());
      const reference = Reference.fromString(json);
      const plain = new PlainReference(JSON.parse(json) as object, {});
      expect(reference.getVocabSize()).toBe(tokenizer.vocabularySize);
      await fc.assert(
        fc.asyncProperty(hardText, async (text) => {
          const ids = (await reference.encode(text)).getIds();
          expect([...tokenizer.encodeIds(text)]).toEqual(ids);
          expect(tokenizer.decode(ids)).toBe(await reference.decode(ids, true));
        }),
        { numRuns: 60, seed: 3 },
      );
      const words = fc.oneof(plainText, fc.constantFrom(...corpus));
      fc.assert(
        fc.property(words, (text) => {
          expect([...tokenizer.encodeIds(text)]).toEqual(plain.encode(text).ids);
        }),
        { numRuns: 60, seed: 3 },
      );
    });

    it(`(${name}) has the size asked for, and its special tokens`, () => {
      expect(tokenizer.vocabularySize).toBe(500);
      const roles = [tokenizer.padId, tokenizer.clsId, tokenizer.sepId, tokenizer.maskId, tokenizer.unknownId];
      expect(new Set(roles).size).toBe(5);
      const { tokens } = tokenizer.encode("a", { pair: "b" });
      expect(tokens.filter((_, at) => at === 0 || at === tokens.length - 1)).toEqual(
        [tokenizer.clsId, tokenizer.sepId].map((id) => tokenizer.idToToken(id)),
      );
    });

    it(`(${name}) is the same the next time`, () => {
      const again: Readonly<Record<string, () => Tokenizer>> = {
        WordPiece: () => trainWordPiece(corpus, { vocabularySize: 500 }),
        BPE: () => trainBpe(corpus, { vocabularySize: 500 }),
        Unigram: () => trainUnigram(corpus, { vocabularySize: 500 }),
      };
      const train = again[name];
      if (train) expect(train().toJson()).toEqual(tokenizer.toJson());
    });
  }

  it("knows the tokens that it was told of", () => {
    expect(trained["WordPiece, cased"].tokenToId("[X]")).toBe(5);
    const special = ["[PAD]", "[A]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
    const own = trainWordPiece(corpus, { vocabularySize: 300, specialTokens: special });
    expect(special.map((token) => own.tokenToId(token))).toEqual([0, 1, 2, 3, 4, 5]);
  });

  it("gives any text back that bytes can write", () => {
    fc.assert(
      fc.property(hardText, (text) => {
        const ids = trained.BPE.encodeIds(text, { addSpecialTokens: false });
        const back = trained.BPE.decode(ids, { skipSpecialTokens: false });
        // `<mask>` takes the space before it along.
        expect(back.replaceAll(" ", "")).toBe(wellFormed(text).replaceAll(" ", ""));
      }),
      { numRuns: 100, seed: 5 },
    );
  });
});

describe("training", () => {
  const trainers = { trainWordPiece, trainBpe, trainUnigram };

  for (const [name, train] of Object.entries(trainers)) {
    it(`${name} refuses an empty corpus and options that make no sense`, () => {
      const empty = expect.objectContaining({ code: "TOKENIZER_EMPTY_CORPUS" });
      expect(() => train([])).toThrow(empty);
      expect(() => train(["", ""])).toThrow(empty);
      const options = expect.objectContaining({ code: "TOKENIZER_TRAINER_OPTIONS" });
      for (const vocabularySize of [0, -1, 1.5, Number.NaN, 3, 1e12]) {
        expect(() => train(["a b"], { vocabularySize })).toThrow(options);
      }
      expect(() => train(["a b"], { specialTokens: [""] })).toThrow(options);
    });

    it(`${name} takes NUL, lone surrogates, marks, and a line of a million characters`, () => {
      const hard = ["\0\0", "\ud800 x", "\u0301\u0301", "ab".repeat(500_000), "x y x y 😀 😀", "__proto__ constructor"];
      const tokenizer = train([...hard, ...hard], { vocabularySize: 400 });
      expect(tokenizer.vocabularySize).toBeLessThanOrEqual(400);
      for (const text of hard) expect(tokenizer.encodeIds(text).length).toBeGreaterThan(0);
      Reference.fromString(JSON.stringify(tokenizer.toJson()));
    });

    it(`${name} keeps within a vocabulary that is smaller than the alphabet`, () => {
      const alphabet = Array.from({ length: 2000 }, (_, index) => String.fromCodePoint(0x4e00 + index)).join(" ");
      const tokenizer = train([alphabet, "a a a a b b b"], { vocabularySize: 300 });
      expect(tokenizer.vocabularySize).toBeLessThanOrEqual(300);
      expect(tokenizer.decode(tokenizer.encodeIds("a b"))).toBe("a b");
    });
  }

  it("is fast: ten megabytes of short texts in a few seconds", () => {
    const lines = Array.from({ length: 200 }, () => corpus).flat();
    const start = performance.now();
    trainWordPiece(lines, { vocabularySize: 8000 });
    expect(performance.now() - start).toBeLessThan(20_000);
  });
});
