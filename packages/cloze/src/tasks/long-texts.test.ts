// Texts of megabytes: what a task makes of them takes time as they are long, not more.
import { expect, test } from "vitest";
import { tinyTokenizer } from "../../test/tiny-models.js";
import { createWarnings } from "../data/readers/warnings.js";
import { questionAnswering } from "./question-answering.js";
import type { EncodeContext } from "./task.js";
import { tokenClassification } from "./token-classification.js";

const context: EncodeContext = {
  tokenizer: tinyTokenizer(),
  maxLength: 32,
  training: false,
  warnings: createWarnings(),
};

/** Numbers that look random, always the same. */
const noise = (length: number, levels: number): Float32Array =>
  Float32Array.from({ length }, (_, i) => ((i * 7919 + (i % 13) * 104729) % levels) / 7 - levels / 14);

test("named entities: a window looks at its own words only", () => {
  const count = 5000;
  let looks = 0;
  const offsets = Array.from({ length: count }, (_, i) => {
    const word: [number, number] = [2 * i, 2 * i + 1];
    return new Proxy(word, {
      get(target, key) {
        looks++;
        return Reflect.get(target, key);
      },
    });
  });
  const settings = { names: ["O", "PER"], stride: 4 };
  const row = { tokens: new Array(count).fill("a"), text: "a ".repeat(count), offsets, row: 1 };
  const { details } = tokenClassification.encode(row, settings, context);
  const { firstPieces } = details;
  expect(firstPieces.length).toBeGreaterThan(100);
  expect(new Set(firstPieces.flatMap((window) => [...window])).size).toBe(count + 1);
  // Each word stands in one window or two, and is looked at a few times in each.
  expect(looks).toBeLessThan(12 * count);
});

const settings = { unanswerable: false, noAnswerThreshold: 0, stride: 8, maxAnswerLength: 30, nBest: 5 };
const rowOf = (text: string) => ({ id: "1", question: "a cat", context: text, answers: [], row: 1 });

test.each([2, 9, 1000])("answers are the best spans of all windows, each once (%i scores that differ)", (levels) => {
  const row = rowOf("the small cat sat on the mat and a large dog ran after it ".repeat(6));
  const example = questionAnswering.encode(row, settings, context);
  const { windows } = example.details;
  expect(windows.length).toBeGreaterThan(4);
  const logits = noise(
    windows.reduce((sum, { ids }) => sum + 2 * ids.length, 0),
    levels,
  );
  // All spans from a window's 20 best starts, put together by place.
  const spans = new Map<string, { start: number; end: number; score: number }>();
  let at = 0;
  for (const { ids, starts, ends } of windows) {
    const own = logits.subarray(at, at + 2 * ids.length);
    at += own.length;
    const inside = Array.from(starts.keys()).filter((token) => starts[token] >= 0);
    const tried = [...inside].sort((a, b) => own[2 * b] - own[2 * a] || a - b).slice(0, 20);
    for (const first of tried) {
      for (const last of inside.filter((token) => token >= first && token < first + 30)) {
        const span = { start: starts[first], end: ends[last], score: own[2 * first] + own[2 * last + 1] };
        const known = spans.get(`${span.start} ${span.end}`);
        if (known === undefined || known.score < span.score) spans.set(`${span.start} ${span.end}`, span);
      }
    }
  }
  const best = [...spans.values()].sort((a, b) => b.score - a.score || a.start - b.start || a.end - b.end).slice(0, 5);
  const { candidates } = questionAnswering.predict(row, example, logits, settings);
  expect(candidates.map(({ start, end, score }) => ({ start, end, score }))).toEqual(best);
});

test("answers in a text of a hundred thousand tokens are there in seconds", () => {
  const row = rowOf("cat ".repeat(100_000));
  const example = questionAnswering.encode(row, settings, context);
  const logits = noise(
    example.details.windows.reduce((sum, { ids }) => sum + 2 * ids.length, 0),
    9973,
  );
  const start = performance.now();
  expect(questionAnswering.predict(row, example, logits, settings).candidates).toHaveLength(5);
  expect(performance.now() - start).toBeLessThan(2500);
}, 60_000);
