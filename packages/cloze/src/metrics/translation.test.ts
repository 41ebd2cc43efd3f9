import fc from "fast-check";
import { expect, test } from "vitest";
import { corpusBleu, sentenceBleu, tokenize13a } from "./bleu.js";
import { corpusChrf } from "./chrf.js";
import { translationEditRate } from "./translation-edit-rate.js";

const text = fc
  .array(fc.constantFrom("a", "b", "c", "d.", "é,"), { minLength: 4, maxLength: 14 })
  .map((words) => words.join(" "));

test("punctuation is separated but in numbers and at apostrophes", () => {
  expect(tokenize13a("It's 1,000.5 (5-6%), ok.")).toEqual("It's 1,000.5 ( 5 - 6 % ) , ok .".split(" "));
  expect(tokenize13a("&lt;b&gt; &amp;quot; ab-\nc\nd")).toEqual("< b > & quot ; abc d".split(" "));
});

test("BLEU by hand: three of four words, two of three pairs, one of two triples, no quadruple", () => {
  const score = corpusBleu(["a b c x"], ["a b c d"]);
  expect(score.precisions).toEqual([75, (100 * 2) / 3, 50, 50]);
  expect(score.score).toBeCloseTo((75 * (200 / 3) * 50 * 50) ** (1 / 4), 9);
  expect(corpusBleu(["a b c d"], ["a b c d e f"]).brevityPenalty).toBeCloseTo(Math.exp(1 - 6 / 4), 12);
  expect(corpusBleu(["a a a a"], ["a b"]).precisions[0]).toBe(25);
});

test("a sentence leaves out orders that it is too short for; a corpus does not", () => {
  expect(sentenceBleu("a b", "a b").score).toBeCloseTo(100, 9);
  expect(corpusBleu(["a b"], ["a b"]).score).toBe(0);
});

test("chrF by hand: half of the characters, no pair", () => {
  // Orders 1 and 2 have n-grams: precision and recall (1/2 + 0) / 2.
  expect(corpusChrf(["ab"], ["a c"])).toBeCloseTo(25, 9);
  expect(corpusChrf(["👍🏽"], ["👍"])).toBeCloseTo((100 * 5 * 0.5 * 1) / (4 * 0.5 + 1), 9);
});

test("TER by hand: a moved block is one edit", () => {
  expect(translationEditRate(["c d a b"], ["a b c d"])).toEqual({ score: 25, edits: 1, referenceLength: 4 });
  expect(translationEditRate(["a x"], ["A b c"])).toMatchObject({ edits: 2, referenceLength: 3 });
  expect(translationEditRate(["a b"], [["x y z", "a b c d e"]])).toMatchObject({ edits: 3, referenceLength: 4 });
});

test("of several references the best counts", () => {
  expect(sentenceBleu("a b c d", ["x", "a b c d"]).score).toBeCloseTo(100, 9);
  expect(corpusChrf(["abc"], [["x", "abc"]])).toBeCloseTo(100, 9);
});

test("nothing in, nothing out", () => {
  expect(corpusBleu([], []).score).toBe(0);
  expect(corpusChrf([], [])).toBe(0);
  expect(translationEditRate([], []).score).toBe(0);
  expect(corpusBleu([""], ["a"])).toMatchObject({ score: 0, brevityPenalty: 0 });
  expect(translationEditRate(["a"], [""]).score).toBe(100);
});

test("lengths that differ and texts without a reference are errors", () => {
  for (const metric of [corpusBleu, corpusChrf, translationEditRate]) {
    expect(() => metric(["a"], [])).toThrow(expect.objectContaining({ code: "METRIC_SHAPE" }));
    expect(() => metric(["a"], [[]])).toThrow(expect.objectContaining({ code: "METRIC_VALUE" }));
  }
});

test("the text itself is perfect, the order of texts does not matter, figures stay in their range", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(text, text), { minLength: 1, maxLength: 4 }), (given) => {
      const [h, r] = [given.map(([one]) => one), given.map(([, other]) => other)];
      expect(corpusBleu(h, h).score).toBeCloseTo(100, 9);
      expect(corpusChrf(h, h)).toBeCloseTo(100, 9);
      expect(translationEditRate(h, h).score).toBe(0);
      const [back, right] = [[...h].reverse(), [...r].reverse()];
      expect(corpusBleu(back, right).score).toBeCloseTo(corpusBleu(h, r).score, 9);
      expect(corpusChrf(back, right)).toBeCloseTo(corpusChrf(h, r), 9);
      expect(translationEditRate(back, right).edits).toBe(translationEditRate(h, r).edits);
      for (const score of [corpusBleu(h, r).score, corpusChrf(h, r)]) {
        expect(score).toBeGreaterThanOrEqual(0);
        expect(score).toBeLessThanOrEqual(100 + 1e-9);
      }
    }),
    { numRuns: 50 },
  );
});
