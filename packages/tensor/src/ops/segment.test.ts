import { expect, test } from "vitest";
import { composed } from "../graph.js";
import { tensor } from "../tensor.js";
import { expectNativeEqualsReference, gradientCheck, sampleNumbers } from "../testing/index.js";
import { segmentMax } from "./segment.js";

const offsets = (...ends: number[]) => tensor(Int32Array.of(0, ...ends));

test("segmentMax: the largest of each column in each sequence, 0 where there is none", () => {
  const x = tensor([
    [1, -5],
    [3, -6],
    [2, -7],
    [-1, 4],
  ]);
  expect(segmentMax(x, offsets(3, 4)).toArray()).toEqual([
    [3, -5],
    [-1, 4],
  ]);
  expect(segmentMax(x, offsets(0, 4, 4)).toArray()).toEqual([
    [0, 0],
    [3, 4],
    [0, 0],
  ]);
  expect(segmentMax(tensor([Number.NaN, 1, Number.NaN]), offsets(3)).toArray()).toEqual([Number.NaN]);
  expect(segmentMax(tensor(new Float32Array(0), [0, 3]), offsets()).shape).toEqual([0, 3]);
});

test("segmentMax: gradients, and every backend", () => {
  gradientCheck((x) => segmentMax(x, offsets(3, 3, 8)), [[8, 5]]);
  gradientCheck((x) => composed(() => segmentMax(x, offsets(8))), [[8, 2, 3]]);
  expectNativeEqualsReference(() =>
    segmentMax(tensor(Float32Array.from(sampleNumbers(56)), [8, 7]), offsets(1, 6, 6, 8)),
  );
});

test("segmentMax refuses offsets that do not fit", () => {
  expect(() => segmentMax(tensor([1, 2]), offsets(1))).toThrow(expect.objectContaining({ code: "OFFSETS" }));
});
