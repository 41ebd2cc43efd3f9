import { scope, tensor } from "@cloze/tensor";
import { describe, expect, test } from "vitest";
import { createLoss, type LossConfig } from "./index.js";
import { nearestTargets } from "./multiple-negatives-plus.js";

const unit = (size: number): number[][] =>
  Array.from({ length: size }, (_, i) => Array.from({ length: size }, (__, j) => Number(i === j)));
const value = (config: LossConfig, u: number[][], v: number[][]): number =>
  scope(() =>
    createLoss(config, { width: u[0].length, layers: 1, seed: 1 })
      .forward({ columns: [tensor(u), tensor(v)], seed: 1 })
      .item(),
  );

describe.each([2, 5])("%i orthonormal rows on both sides", (size) => {
  test.each<LossConfig>([
    { type: "multiple-negatives", scale: 1 },
    { type: "multiple-negatives-plus", scale: 1 },
    { type: "multiple-negatives-plus", scale: 1, similarity: "dot" },
  ])("%j is log(1 + (B - 1) / e)", (config) => {
    expect(value(config, unit(size), unit(size))).toBeCloseTo(Math.log(1 + (size - 1) / Math.E), 5);
  });
});

test("with inner products a long row is everybody's target, with cosines none is", () => {
  const rows = [
    [1, 0.5],
    [0.5, 1],
    [8, 8],
  ];
  expect(scope(() => Array.from(nearestTargets(tensor(rows), tensor(rows))))).toEqual([2, 2, 2]);
  const short = rows.map(([a, b]) => [a / Math.hypot(a, b), b / Math.hypot(a, b)]);
  expect(scope(() => Array.from(nearestTargets(tensor(short), tensor(short))))).toEqual([0, 1, 2]);
});
