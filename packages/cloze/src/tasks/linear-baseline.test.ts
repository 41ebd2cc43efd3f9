import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { fitLinearBaseline, type LinearBaselineOptions, loadLinearBaseline } from "./linear-baseline.js";
import { minimize } from "./minimize.js";
import { tfIdfRows } from "./tf-idf.js";

interface Case {
  options: LinearBaselineOptions;
  rows: number[];
  labels: string[];
  width: number;
  losses: number[];
  testNorms: number[];
  firstRow: [number[], number[]];
  intercepts: number[];
  coefficientSquares: number[];
  firstCoefficients: number[];
  probabilities: number[];
  predictions: string[];
}
const golden: { texts: string[]; labels: string[]; test: string[]; cases: Case[] } = JSON.parse(
  readFileSync(new URL("../../test/fixtures/linear-baseline/scikit-learn.json", import.meta.url), "utf8"),
);

function expectNear(received: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): void {
  expect(received).toHaveLength(expected.length);
  for (let i = 0; i < expected.length; i++) {
    const error = Math.abs(received[i] - expected[i]) / Math.max(1, Math.abs(expected[i]));
    expect(error, `${i}: ${received[i]}, expected ${expected[i]}`).toBeLessThanOrEqual(tolerance);
  }
}
const flat = (rows: readonly Float64Array[]): number[] => rows.flatMap((row) => Array.from(row));

describe.each(golden.cases)("scikit-learn, $options", (expected) => {
  const texts = expected.rows.map((row) => golden.texts[row]);
  const labels = expected.rows.map((row) => golden.labels[row]);

  test("the same features, at training and afterwards", () => {
    const { tfIdf } = fitLinearBaseline(texts, labels, expected.options);
    expect(tfIdf.width).toBe(expected.width);
    const { starts, columns, values } = tfIdfRows(tfIdf, texts);
    expect(Array.from(columns.subarray(0, starts[1]))).toEqual(expected.firstRow[0]);
    expectNear(values.subarray(0, starts[1]), expected.firstRow[1], 1e-11);
    const rows = tfIdfRows(tfIdf, golden.test);
    const sums = golden.test.map((_, i) =>
      rows.values.subarray(rows.starts[i], rows.starts[i + 1]).reduce((a, b) => a + b, 0),
    );
    expectNear(sums, expected.testNorms, 1e-11);
  });

  test("the same loss at the default tolerance", () => {
    const { fit } = fitLinearBaseline(texts, labels, expected.options);
    expect(fit?.converged).toBe(true);
    expectNear(fit?.losses ?? [], expected.losses, 1e-8);
  });

  test("the same coefficients, probabilities and predictions", () => {
    const baseline = fitLinearBaseline(texts, labels, { ...expected.options, tolerance: 1e-10 });
    expect(baseline.labels).toEqual(expected.labels);
    const { coefficients, intercepts } = baseline.classifier;
    const lines = intercepts.length;
    expectNear(intercepts, expected.intercepts, 1e-6);
    expectNear(coefficients.subarray(0, 40 * lines), expected.firstCoefficients, 1e-6);
    const squares = Array.from(intercepts, (_, line) =>
      coefficients.reduce((total, value, i) => (i % lines === line ? total + value * value : total), 0),
    );
    expectNear(squares, expected.coefficientSquares, 1e-6);
    expectNear(flat(baseline.predictProbabilities(golden.test)), expected.probabilities, 1e-6);
    expect(baseline.predict(golden.test)).toEqual(expected.predictions);
  });
});

test("saved and loaded, it predicts the same", () => {
  const folder = mkdtempSync(join(tmpdir(), "cloze-linear-"));
  try {
    const path = join(folder, "baseline.json");
    const baseline = fitLinearBaseline(golden.texts, golden.labels, { characters: [1, 3] });
    baseline.save(path);
    const loaded = loadLinearBaseline(path);
    expect(loaded.labels).toEqual(baseline.labels);
    expect(loaded.predictProbabilities(golden.test)).toEqual(baseline.predictProbabilities(golden.test));
    const file = JSON.parse(readFileSync(path, "utf8"));
    for (const broken of ["{", "[]", JSON.stringify({ ...file, intercepts: [0] })]) {
      writeFileSync(path, broken);
      expect(() => loadLinearBaseline(path)).toThrow(expect.objectContaining({ code: "LINEAR_BASELINE_INVALID" }));
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("bad input is refused in words", () => {
  const code = (value: string) => expect.objectContaining({ code: value });
  expect(() => fitLinearBaseline(["a text"], [])).toThrow(code("LABELS_SHAPE"));
  expect(() => fitLinearBaseline(["one", "two"], ["x", "x"])).toThrow(code("LABELS_ONE_CLASS"));
  expect(() => fitLinearBaseline(["!", "?"], ["x", "y"])).toThrow(code("VOCABULARY_EMPTY"));
  expect(() => fitLinearBaseline(["one", "two"], ["x", "y"], { words: [2, 1] })).toThrow(code("INVALID_OPTION"));
  expect(() => fitLinearBaseline(["one", "two"], ["x", "y"], { inverseRegularization: 0 })).toThrow(
    code("INVALID_OPTION"),
  );
});

test("L-BFGS finds the bottom of Rosenbrock's valley, and says when it stopped before", () => {
  const valley = (x: Float64Array, gradient: Float64Array): number => {
    const [a, b] = [1 - x[0], x[1] - x[0] ** 2];
    gradient[0] = -2 * a - 400 * x[0] * b;
    gradient[1] = 200 * b;
    return a * a + 100 * b * b;
  };
  const { x, converged, iterations } = minimize(valley, Float64Array.of(-1.2, 1), { tolerance: 1e-9 });
  expect(converged).toBe(true);
  expect(iterations).toBeLessThan(100);
  expectNear(x, [1, 1], 1e-8);
  expect(minimize(valley, Float64Array.of(-1.2, 1), { iterations: 3 }).converged).toBe(false);
});
