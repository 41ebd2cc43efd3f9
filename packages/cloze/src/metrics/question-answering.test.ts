import fc from "fast-check";
import { expect, test } from "vitest";
import {
  answerF1,
  answerReport,
  bestNoAnswerThresholds,
  exactAnswerMatch,
  normalizeAnswer,
} from "./question-answering.js";

test("normalised as the official script does", () => {
  expect(normalizeAnswer("The  U.S. of an America!")).toBe("us of america");
  // Articles are words of their own, also beside letters that are not ASCII.
  expect(normalizeAnswer("à the_end élan a² (a)")).toBe("à theend élan a²");
  expect(normalizeAnswer("tree-house\u00a0\u0085x")).toBe("treehouse x");
  expect(normalizeAnswer("«a»")).toBe("« »");
});

test("F1 counts words with repetition", () => {
  // Common: new, york (once). 2/3 and 2/4.
  expect(answerF1("new york new city", "york york new")).toBeCloseTo((2 * (2 / 3) * (2 / 4)) / (2 / 3 + 2 / 4), 12);
  expect(exactAnswerMatch("The cat.", "cat")).toBe(1);
  expect([answerF1("the", "a"), answerF1("the", "cat"), answerF1("the", "a", "1.1")]).toEqual([1, 0, 0]);
});

test("a report by hand; the best of several answers counts", () => {
  const questions = [
    { answers: ["Paris", "in Paris"], prediction: "in Paris", noAnswerScore: 0.1 },
    { answers: ["a dog"], prediction: "big dog", noAnswerScore: 0.2 },
    { answers: [], prediction: "", noAnswerScore: 0.9 },
    { answers: [], prediction: "wrong", noAnswerScore: 0.8 },
  ];
  expect(answerReport(questions)).toEqual({
    exactMatch: 50,
    f1: expect.closeTo((100 * (1 + 2 / 3 + 1)) / 4, 9),
    questions: 4,
    hasAnswer: { exactMatch: 50, f1: expect.closeTo((100 * (5 / 3)) / 2, 9), questions: 2 },
    noAnswer: { exactMatch: 50, f1: 50, questions: 2 },
  });
  expect(answerReport(questions, { noAnswerThreshold: 0.5 }).noAnswer.f1).toBe(100);
  expect(answerReport(questions, { noAnswerThreshold: 0.15 }).hasAnswer.exactMatch).toBe(50);
  expect(bestNoAnswerThresholds(questions)).toEqual({
    exactMatch: { threshold: 0.1, score: 75 },
    f1: { threshold: 0.2, score: expect.closeTo((100 * (2 + 5 / 3)) / 4, 9) },
  });
});

test("without questions figures are not numbers; in 1.1 nothing may stay unanswered", () => {
  expect(answerReport([])).toMatchObject({ exactMatch: Number.NaN, f1: Number.NaN, questions: 0 });
  expect(bestNoAnswerThresholds([]).f1).toEqual({ threshold: 0, score: Number.NaN });
  expect(answerReport([{ answers: [], prediction: "" }], { version: "1.1" })).toMatchObject({ exactMatch: 0, f1: 0 });
});

test("F1 is symmetric, at least exact match, and 1 for the answer itself", () => {
  const text = fc.array(fc.constantFrom("the", "cat", "Mat.", "on", "é")).map((words) => words.join(" "));
  fc.assert(
    fc.property(text, text, (a, b) => {
      expect(answerF1(a, b)).toBeCloseTo(answerF1(b, a), 12);
      expect(answerF1(a, b)).toBeGreaterThanOrEqual(exactAnswerMatch(a, b) - 1e-12);
      expect(answerF1(a, a)).toBeCloseTo(1, 12);
      expect(normalizeAnswer(normalizeAnswer(a))).toBe(normalizeAnswer(a));
    }),
  );
});

test("with different scores, the best threshold reaches what it says and no other reaches more", () => {
  const question = fc.record({
    answers: fc.array(fc.constantFrom("x y", "z"), { maxLength: 2 }),
    prediction: fc.constantFrom("", "x", "z"),
  });
  fc.assert(
    fc.property(fc.array(question, { minLength: 1, maxLength: 12 }), (given) => {
      const questions = given.map((one, i) => ({ ...one, noAnswerScore: i + 1 }));
      const best = bestNoAnswerThresholds(questions);
      const reached = (noAnswerThreshold: number) => answerReport(questions, { noAnswerThreshold });
      expect(reached(best.f1.threshold).f1).toBeCloseTo(best.f1.score, 9);
      expect(reached(best.exactMatch.threshold).exactMatch).toBeCloseTo(best.exactMatch.score, 9);
      for (let threshold = 0; threshold <= questions.length; threshold++) {
        expect(reached(threshold).f1).toBeLessThanOrEqual(best.f1.score + 1e-9);
      }
    }),
  );
});
