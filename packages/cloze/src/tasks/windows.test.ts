import { beforeAll, describe, expect, test } from "vitest";
import type { QuestionRow, TokenRow } from "../data/readers/index.js";
import { createWarnings } from "../data/readers/warnings.js";
import { type Tokenizer, trainWordPiece } from "../text/index.js";
import { questionAnswering } from "./question-answering.js";
import { tokenClassification } from "./token-classification.js";
import { questionWindows, textWindows } from "./windows.js";

const words = Array.from({ length: 40 }, (_, i) => `wort${String.fromCharCode(97 + (i % 26))}${i}`);
const text = words.join(" ");
let tokenizer: Tokenizer;
beforeAll(() => {
  // Few entries, so that words are several pieces.
  tokenizer = trainWordPiece([text, "where is it ?"], { vocabularySize: 120, minFrequency: 1 });
});

describe("windows", () => {
  test("cover the text, overlap by the stride, and say where tokens stand", () => {
    const windows = textWindows(tokenizer, text, 24, 6);
    expect(windows.length).toBeGreaterThan(5);
    const seen = new Set<number>();
    windows.forEach(({ ids, starts, ends }, w) => {
      expect(ids.length).toBeLessThanOrEqual(24);
      expect([ids[0], starts[0]]).toEqual([tokenizer.clsId, -1]);
      const places = Array.from(starts).filter((start) => start >= 0);
      if (w > 0) expect(places.filter((start) => seen.has(start))).toHaveLength(6);
      for (const start of places) seen.add(start);
      starts.forEach((start, token) => {
        if (start < 0) return;
        expect(text.slice(start, ends[token])).toBe(tokenizer.idToToken(ids[token])?.replace(/^##/, ""));
      });
    });
    const whole = tokenizer.encode(text, { addSpecialTokens: false, truncation: false, padding: false });
    expect([...seen].sort((a, b) => a - b)).toEqual(whole.offsets.map(([start]) => start));
  });
  test("hold the question, cut to half of the room when it is long", () => {
    const { windows, cut } = questionWindows(tokenizer, "where is it ?", text, 32, 8);
    expect(cut).toBe(false);
    const asked = tokenizer.encodeIds("where is it ?", { addSpecialTokens: false, truncation: false });
    for (const { ids } of windows) expect(Array.from(ids.subarray(1, 1 + asked.length))).toEqual(Array.from(asked));
    const long = questionWindows(tokenizer, text, text, 33, 8);
    expect(long.cut).toBe(true);
    const { starts } = long.windows[0];
    // 30 tokens beside [CLS] and two [SEP]: 15 for the question.
    expect(starts.indexOf(0)).toBe(17);
  });
  test("no room for text", () => {
    expect(() => textWindows(tokenizer, text, 2, 0)).toThrow(expect.objectContaining({ code: "SEQUENCE_TOO_SHORT" }));
  });
});

const context = (training: boolean) => ({ tokenizer, maxLength: 24, training, warnings: createWarnings() });

test("every word is labelled in each window where it begins", () => {
  const tags = words.map((_, i) => (i === 20 ? "B-X" : "O"));
  const row: TokenRow = { tokens: words, tags, row: 1 };
  const settings = { names: ["B-X", "O"], scheme: "BIO" as const, stride: 6 };
  const { sequences, labels, details } = tokenClassification.encode(row, settings, context(true));
  expect(sequences.length).toBeGreaterThan(5);
  const flat = details.firstPieces.flatMap((window) => Array.from(window));
  expect(new Set(flat.filter((word) => word >= 0)).size).toBe(words.length);
  expect(Array.from(labels ?? [])).toEqual(flat.map((word) => (word < 0 ? -100 : word === 20 ? 0 : 1)));
});

test("a word's tag is read where its first piece stands furthest from the edges", () => {
  const settings = { names: ["B-X", "O"], scheme: "BIO" as const, stride: 6 };
  const row: TokenRow = { tokens: words, row: 1 };
  const example = tokenClassification.encode(row, settings, context(false));
  // Logits say B-X where the token stands within 3 of an edge, so that no word that has another window is X.
  const logits = example.details.firstPieces.flatMap((window) =>
    Array.from(window, (_, token) => (Math.min(token, window.length - 1 - token) < 3 ? [1, 0] : [0, 1])).flat(),
  );
  const { tags, entities } = tokenClassification.predict(row, example, Float32Array.from(logits), settings);
  const margins = words.map((_, word) =>
    Math.max(
      ...example.details.firstPieces.flatMap((window) =>
        Array.from(window.keys())
          .filter((token) => window[token] === word)
          .map((token) => Math.min(token, window.length - 1 - token)),
      ),
    ),
  );
  expect(tags).toEqual(margins.map((margin) => (margin < 3 ? "B-X" : "O")));
  expect(entities.map((entity) => entity.text)).toEqual(words.filter((_, i) => tags[i] === "B-X"));
});

describe("answers", () => {
  const settings = { unanswerable: true, noAnswerThreshold: 0, stride: 6, maxAnswerLength: 8, nBest: 3 };
  const answer = `${words[20]} ${words[21]}`;
  const row: QuestionRow = {
    id: "q",
    question: "where is it ?",
    context: text,
    answers: [{ text: answer, start: text.indexOf(answer) }],
    row: 1,
  };
  test("are labelled in windows that hold them whole; elsewhere it is the first token", () => {
    const wide = { ...context(true), maxLength: 40 };
    const { labels = [], details } = questionAnswering.encode(row, settings, wide);
    const found = details.windows.flatMap(({ starts, ends }, w) => {
      const [first, last] = [labels[2 * w], labels[2 * w + 1]];
      return first === 0 ? [] : [text.slice(starts[first], ends[last])];
    });
    expect(found.length).toBeGreaterThan(0);
    expect(found.length).toBeLessThan(details.windows.length);
    expect(new Set(found)).toEqual(new Set([answer]));
  });
  test("come from the best window, or not at all", () => {
    const wide = { ...context(false), maxLength: 40 };
    const example = questionAnswering.encode(row, settings, wide);
    const labelled = questionAnswering.encode(row, settings, { ...wide, training: true });
    const window = Array.from(labelled.labels ?? []).findIndex((place) => place > 0) >> 1;
    const outputs: number[] = [];
    example.details.windows.forEach(({ ids }, w) => {
      const logits = new Float32Array(2 * ids.length).fill(-5);
      if (w === window) {
        logits[2 * (labelled.labels?.[2 * w] ?? 0)] = 4;
        logits[2 * (labelled.labels?.[2 * w + 1] ?? 0) + 1] = 3;
      }
      outputs.push(...logits);
    });
    const found = questionAnswering.predict(row, example, Float32Array.from(outputs), settings);
    expect(found).toMatchObject({ id: "q", answer, noAnswerScore: -17 });
    expect(found.candidates).toHaveLength(3);
    expect(found.candidates[0]).toMatchObject({ text: answer, score: 7, start: row.answers[0].start });
    expect(found.candidates.reduce((sum, { probability }) => sum + probability, 0)).toBeCloseTo(1);
    const unsure = { ...settings, noAnswerThreshold: -20 };
    expect(questionAnswering.decide?.(found, unsure).answer).toBe("");
  });
  test("are given up half way between the dev questions' scores, and by the same dev questions", () => {
    const scores = [-9, -8, -8.5, 7, 7.5];
    const predictions = scores.map((noAnswerScore, i) => ({
      id: `${i}`,
      answer,
      candidates: [{ text: answer, start: 0, end: answer.length, score: 1, probability: 1 }],
      noAnswerScore,
    }));
    const rows = scores.map((score, i) => ({ ...row, id: `${i}`, answers: score < 0 ? row.answers : [] }));
    const tuned = questionAnswering.tune?.(rows, predictions, settings);
    expect(tuned?.noAnswerThreshold).toBe(-0.5);
    // Nothing is known beyond the last score, nor where leaving everything unanswered is best.
    const tune = (kept: number) =>
      questionAnswering.tune?.(rows.slice(kept), predictions.slice(kept), settings).noAnswerThreshold;
    expect(tune(3)).toBe(0);
    const all = rows.map((one, i) => (i === 0 ? { ...one, answers: [] } : { ...one, answers: row.answers }));
    expect(questionAnswering.tune?.(all, predictions, settings).noAnswerThreshold).toBe(7.5);
  });
});
