import fc from "fast-check";
import { expect, test } from "vitest";
import { createAnalyzer } from "./analyzer.js";
import { porterStem } from "./porter-stemmer.js";
import { createPostingsBuilder } from "./postings.js";
import { splitWords } from "./split-words.js";

test("words of ASCII, of marks, of scripts without spaces", () => {
  expect(splitWords("The CAT's 2nd-best, x_y.")).toEqual(["the", "cat", "s", "2nd", "best", "x", "y"]);
  expect(splitWords("Café, cafe\u0301!")).toEqual(["café", "café"]);
  expect(splitWords("नमस्ते दुनिया")).toEqual(["नमस्ते", "दुनिया"]);
  expect(splitWords("東京タワー ok")).toEqual(["東京", "京タ", "タワ", "ワー", "ok"]);
  expect(splitWords("猫")).toEqual(["猫"]);
  expect(splitWords(" \n")).toEqual([]);
});

test("the loop over ASCII equals the pattern", () => {
  const ascii = fc.string({ unit: fc.integer({ min: 0, max: 127 }).map((code) => String.fromCharCode(code)) });
  fc.assert(
    fc.property(ascii, (text) => {
      expect(splitWords(text)).toEqual(text.toLowerCase().match(/[a-z0-9]+/g) ?? []);
    }),
  );
});

test("stems of Porter's paper", () => {
  const pairs: Record<string, string> = {
    caresses: "caress",
    ponies: "poni",
    cats: "cat",
    agreed: "agre",
    plastered: "plaster",
    motoring: "motor",
    sing: "sing",
    conflated: "conflat",
    hopping: "hop",
    falling: "fall",
    filing: "file",
    happy: "happi",
    sky: "sky",
    relational: "relat",
    conditional: "condit",
    digitizer: "digit",
    vietnamization: "vietnam",
    triplicate: "triplic",
    electrical: "electr",
    goodness: "good",
    revival: "reviv",
    adoption: "adopt",
    replacement: "replac",
    homologou: "homolog",
    probate: "probat",
    rate: "rate",
    controll: "control",
    generalizations: "gener",
  };
  for (const [word, stem] of Object.entries(pairs)) expect(porterStem(word), word).toBe(stem);
  expect(createAnalyzer({ stemmer: "english", stopWords: "english" })("The cats of Größe")).toEqual(["cat", "größe"]);
  expect(() => createAnalyzer({ stemmer: "latin" as "english" })).toThrow(/english/);
});

test("postings equal a count by hand, also without some documents", () => {
  const documents = fc.array(fc.array(fc.constantFrom("a", "b", "c", "a longer word than most"), { maxLength: 9 }), {
    maxLength: 12,
  });
  fc.assert(
    fc.property(documents, fc.integer({ min: 1, max: 5 }), (texts, step) => {
      const builder = createPostingsBuilder();
      for (const words of texts) builder.add(words);
      const keep = (document: number) => document % step !== 0;
      const postings = builder.finish(keep);
      for (const word of ["a", "b", "c", "a longer word than most", "unseen"]) {
        const plain = texts.flatMap((words, d) => {
          const count = words.filter((one) => one === word).length;
          return count > 0 && keep(d) ? [[d, count]] : [];
        });
        const found = postings.read(word);
        expect([...(found?.documents ?? [])].map((d, i) => [d, found?.counts[i]])).toEqual(plain);
        expect(postings.frequency(word)).toBe(plain.length);
      }
      expect([...postings.lengths]).toEqual(texts.map((words, d) => (keep(d) ? words.length : 0)));
    }),
  );
});
