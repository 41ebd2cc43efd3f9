import fc from "fast-check";
import { expect, test } from "vitest";
import {
  accuracy,
  binaryScores,
  classificationReport,
  classScores,
  confusionMatrix,
  logLoss,
  matthewsCorrelation,
} from "./classification.js";

const pairs = fc.array(fc.tuple(fc.integer({ min: 0, max: 4 }), fc.integer({ min: 0, max: 4 })), { minLength: 1 });
const split = (given: readonly [number, number][]) => ({ y: given.map(([y]) => y), p: given.map(([, p]) => p) });

test("six samples by hand", () => {
  const y = [0, 0, 0, 1, 1, 2];
  const p = [0, 0, 1, 1, 2, 2];
  expect(confusionMatrix(y, p)).toEqual([
    [2, 1, 0],
    [0, 1, 1],
    [0, 0, 1],
  ]);
  expect(classScores(y, p)).toEqual([
    { class: 0, precision: 1, recall: 2 / 3, f1: 4 / 5, support: 3 },
    { class: 1, precision: 1 / 2, recall: 1 / 2, f1: 1 / 2, support: 2 },
    { class: 2, precision: 1 / 2, recall: 1, f1: 2 / 3, support: 1 },
  ]);
  const { macro, micro, weighted } = classificationReport(y, p);
  expect(macro.f1).toBeCloseTo((4 / 5 + 1 / 2 + 2 / 3) / 3, 12);
  expect(micro).toEqual({ precision: 4 / 6, recall: 4 / 6, f1: 4 / 6 });
  expect(weighted.f1).toBeCloseTo((3 * (4 / 5) + 2 * (1 / 2) + 2 / 3) / 6, 12);
  // tp 2, fn 1, fp 0, tn 3 for class 0 against the rest: (2·3 - 0·1) / sqrt(2·3·3·4).
  const binary = [y, p].map((side) => side.map((c) => (c === 0 ? 1 : 0)));
  expect(matthewsCorrelation(binary[0], binary[1])).toBeCloseTo(6 / Math.sqrt(72), 12);
  expect(binaryScores(y, p, 2)).toEqual({ precision: 1 / 2, recall: 1, f1: 2 / 3, support: 1 });
});

test("classes that are listed are scored, also those that never occur; others are left out", () => {
  const classes = classScores([0, 1, 7], [0, 7, 7], { classes: [1, 3] });
  expect(classes.map(({ f1, support }) => [f1, support])).toEqual([
    [0, 1],
    [0, 0],
  ]);
  expect(confusionMatrix([0, 1, 7], [0, 7, 7], { classes: [7, 0] })).toEqual([
    [1, 0],
    [0, 1],
  ]);
});

test("what is not defined", () => {
  expect(accuracy([], [])).toBeNaN();
  expect(matthewsCorrelation([], [])).toBeNaN();
  expect(logLoss([], [])).toBeNaN();
  expect(confusionMatrix([], [])).toEqual([]);
  expect(matthewsCorrelation([1, 1], [1, 1])).toBe(0);
  expect(binaryScores([0, 0], [0, 0])).toEqual({ precision: 0, recall: 0, f1: 0, support: 0 });
  const empty = classificationReport([], []);
  expect(empty.macro.f1).toBeNaN();
  expect([empty.micro.f1, empty.weighted.f1]).toEqual([0, 0]);
});

test("log loss takes rows as they are unless told to renormalise, and never gives infinity", () => {
  expect(
    logLoss(
      [0, 1],
      [
        [0.5, 1],
        [0.1, 1],
      ],
    ),
  ).toBeCloseTo(Math.LN2 / 2, 12);
  const sum = -Math.log(0.5 / 1.5) - Math.log(1 / 1.1);
  expect(
    logLoss(
      [0, 1],
      [
        [0.5, 1],
        [0.1, 1],
      ],
      { renormalize: true },
    ),
  ).toBeCloseTo(sum / 2, 12);
  expect(logLoss([0], [[0, 1]])).toBeCloseTo(52 * Math.LN2, 9);
  expect(logLoss([0], [[0, 0]], { renormalize: true })).toBeCloseTo(52 * Math.LN2, 9);
  expect(() => logLoss([2], [[0.5, 0.5]])).toThrow(expect.objectContaining({ code: "METRIC_VALUE" }));
  expect(() => logLoss([0], [[1.5, 0.5]])).toThrow(expect.objectContaining({ code: "METRIC_VALUE" }));
  expect(() => logLoss([0], [[Number.NaN, 0.5]])).toThrow(expect.objectContaining({ code: "METRIC_VALUE" }));
});

test("lengths that differ are an error", () => {
  const shape = expect.objectContaining({ code: "METRIC_SHAPE" });
  for (const metric of [
    accuracy,
    confusionMatrix,
    classScores,
    binaryScores,
    matthewsCorrelation,
    classificationReport,
  ]) {
    expect(() => metric([0, 1], [0])).toThrow(shape);
  }
  expect(() => logLoss([0], [])).toThrow(shape);
});

test("micro F1 is accuracy; the correlation is symmetric and 1 only for a perfect guess", () => {
  fc.assert(
    fc.property(pairs, (given) => {
      const { y, p } = split(given);
      expect(classificationReport(y, p).micro.f1).toBeCloseTo(accuracy(y, p), 12);
      expect(matthewsCorrelation(y, p)).toBeCloseTo(matthewsCorrelation(p, y), 12);
      expect(Math.abs(matthewsCorrelation(y, p))).toBeLessThanOrEqual(1 + 1e-12);
      expect(matthewsCorrelation(y, y)).toBeCloseTo(new Set(y).size > 1 ? 1 : 0, 12);
    }),
  );
});

test("neither the order of the samples nor the names of the classes matter", () => {
  fc.assert(
    fc.property(pairs, fc.integer({ min: 1, max: 9 }), (given, shift) => {
      const { y, p } = split(given);
      const other = split([...given].reverse());
      const rename = (side: number[]) => side.map((c) => (c * 3 + shift) % 5);
      for (const [a, b] of [
        [other.y, other.p],
        [rename(y), rename(p)],
      ]) {
        const [before, after] = [classificationReport(y, p), classificationReport(a, b)];
        for (const average of ["micro", "macro", "weighted"] as const) {
          expect(after[average].f1).toBeCloseTo(before[average].f1, 12);
        }
        expect(after.matthewsCorrelation).toBeCloseTo(before.matthewsCorrelation, 12);
      }
    }),
  );
});
