import { expect, test } from "vitest";
import { backward } from "../autograd.js";
import { composed } from "../graph.js";
import { scope } from "../memory.js";
import { tensor } from "../tensor.js";
import { normalizeColumns } from "./batch-norm.js";
import { mul } from "./elementwise.js";
import { sum } from "./reduce.js";

const [rows, columns] = [37, 5];
const values = (count: number, seed: number) =>
  Float32Array.from({ length: count }, (_, i) => 2 * Math.sin(i * 1.7 + seed) + (i % columns));
const weights = values(rows * columns, 3);

/** Output, statistics, and gradients of a weighted sum of the output. */
const run = () =>
  scope(() => {
    const inputs = [
      tensor(values(rows * columns, 0), [rows, columns]),
      tensor(values(columns, 1), [columns]),
      tensor(values(columns, 2), [columns]),
    ];
    for (const input of inputs) input.requireGrad();
    const [x, weight, bias] = inputs;
    const { y, mean, variance } = normalizeColumns(x, weight, bias, 1e-5);
    backward(sum(mul(y, tensor(weights, [rows, columns]))));
    return [y, mean, variance, ...inputs.map(({ grad }) => grad!)].map((t) => Array.from(t.toTypedArray(), Number));
  });

test("output, statistics and gradients are those of the composed definition", () => {
  const [fused, plain] = [run(), composed(run)];
  fused.forEach((list, i) => {
    const size = Math.max(1, ...plain[i].map(Math.abs));
    const furthest = Math.max(...list.map((value, j) => Math.abs(value - plain[i][j])));
    expect(furthest).toBeLessThan(2e-5 * size);
    expect(list.some((value) => Math.abs(value) > 1e-3)).toBe(true);
  });
});

test("columns have mean 0 and variance 1 before weight and bias", () => {
  const one = new Float32Array(columns).fill(1);
  const { y } = normalizeColumns(
    tensor(values(rows * columns, 0), [rows, columns]),
    tensor(one, [columns]),
    tensor(new Float32Array(columns), [columns]),
    0,
  );
  const list = y.toTypedArray();
  for (let c = 0; c < columns; c++) {
    const column = Array.from({ length: rows }, (_, r) => Number(list[r * columns + c]));
    const mean = column.reduce((a, b) => a + b) / rows;
    expect(mean).toBeCloseTo(0, 4);
    expect(column.reduce((a, b) => a + (b - mean) ** 2, 0) / rows).toBeCloseTo(1, 3);
  }
});
