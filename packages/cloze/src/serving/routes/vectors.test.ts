import { expect, test } from "vitest";
import { cosineOfUnits } from "./vectors.js";

test("a cosine stays within [-1, 1] where rounding would take it further", () => {
  const unit = Float32Array.from([0.6, 0.8]);
  expect(unit.reduce((sum, value) => sum + value * value, 0)).toBeGreaterThan(1);
  expect(cosineOfUnits(unit, unit)).toBe(1);
  expect(
    cosineOfUnits(
      unit,
      unit.map((value) => -value),
    ),
  ).toBe(-1);
  expect(cosineOfUnits(unit, Float32Array.from([0, 1]))).toBeCloseTo(0.8, 6);
});
