import { expect, test } from "vitest";
import { backward, grad } from "../autograd.js";
import { composed } from "../graph.js";
import { memory, scope } from "../memory.js";
import { elementCount, type Shape } from "../shape.js";
import { tensor } from "../tensor.js";
import { expectClose, expectNativeEqualsReference, gradientCheck, sampleNumbers } from "../testing/index.js";
import { mul } from "./elementwise.js";
import { linear } from "./linear.js";
import { linearSegmentMax } from "./linear-segment-max.js";
import { sum } from "./reduce.js";
import { segmentMax } from "./segment.js";

const offsets = (...ends: number[]) => tensor(Int32Array.of(0, ...ends));
const sample = (shape: Shape, seed = 1) => tensor(Float32Array.from(sampleNumbers(elementCount(shape), seed)), shape);

test("has the gradient of finite differences, also of its definition", () => {
  for (const chunkOutputs of [undefined, 3]) {
    gradientCheck((x, w, b) => linearSegmentMax(x, w, b, offsets(3, 3, 8), { chunkOutputs }), [[8, 5], [7, 5], [7]]);
    gradientCheck(
      (x, w) => linearSegmentMax(x, w, undefined, offsets(8), { chunkOutputs }),
      [
        [8, 2],
        [4, 2],
      ],
    );
  }
  gradientCheck(
    (x, w) => composed(() => linearSegmentMax(x, w, undefined, offsets(1, 8))),
    [
      [8, 2],
      [4, 2],
    ],
  );
});

test("equals the largest of all outputs, by any chunks, with gradients or without, on every backend", () => {
  for (const [ends, n, k, chunkOutputs] of [
    [[3, 3, 8], 67, 5, 32],
    [[1, 40, 131], 130, 33, 64],
    [[0], 5, 3, undefined],
    [[90], 6000, 16, undefined],
  ] as const) {
    const rows = ends[ends.length - 1] as number;
    const inputs = () => [sample([rows, k]), sample([n, k], 2), sample([n], 3)] as const;
    const fast = () => linearSegmentMax(...inputs(), offsets(...ends), { chunkOutputs });
    const plain = (...[x, w, b]: ReturnType<typeof inputs>) => segmentMax(linear(x, w, b), offsets(...ends));
    expectClose(fast().toTypedArray(), plain(...inputs()).toTypedArray(), 1e-5);
    expectNativeEqualsReference(fast);
    const gradients = (f: typeof plain) => {
      const leaves = inputs();
      for (const leaf of leaves) leaf.requireGrad();
      const y = f(...leaves);
      return [y, ...grad([sum(mul(y, sample(y.shape, 9)))], leaves)].map((one) => one.toTypedArray());
    };
    const found = gradients((...all) => linearSegmentMax(...all, offsets(...ends), { chunkOutputs }));
    gradients(plain).forEach((values, i) => {
      expectClose(found[i], values, 1e-4, `result ${i}`);
    });
  }
});

test("a NaN is the largest, infinities are numbers, and sequences without rows have 0", () => {
  const x = tensor([[1], [Number.NaN], [2], [Number.POSITIVE_INFINITY], [3]]);
  const w = tensor([[1], [-1]]);
  const run = (y = linearSegmentMax(x, w, undefined, offsets(1, 3, 3, 5))) => y.toArray();
  const expected = [
    [1, -1],
    [Number.NaN, Number.NaN],
    [0, 0],
    [Number.POSITIVE_INFINITY, -3],
  ];
  expect(run()).toEqual(expected);
  expect(run(linearSegmentMax(x.requireGrad(), w, undefined, offsets(1, 3, 3, 5)))).toEqual(expected);
});

test("takes the memory of a chunk, forwards and backwards, and frees it", () => {
  const [rows, outputs] = [512, 4000];
  const whole = 4 * rows * outputs;
  const peak = (wants: boolean, make: typeof linearSegmentMax) =>
    scope(() => {
      const [x, w] = [sample([rows, 8]), sample([outputs, 8], 2)];
      if (wants) for (const one of [x, w]) one.requireGrad();
      const before = memory.stats().liveBytes;
      memory.resetPeak();
      scope(() => {
        const y = make(x, w, undefined, offsets(100, rows), { chunkOutputs: 128 });
        if (wants) backward(sum(y));
      });
      const most = memory.stats().peakBytes - before;
      for (const one of [x, w]) one.grad?.dispose();
      expect(memory.stats().liveBytes).toBe(before);
      return most;
    });
  const plain: typeof linearSegmentMax = (x, w, b, ends) => segmentMax(linear(x, w, b), ends);
  expect(peak(false, plain)).toBeGreaterThan(whole);
  expect(peak(false, linearSegmentMax)).toBeLessThan(whole / 8);
  expect(peak(true, linearSegmentMax)).toBeLessThan(whole / 4);
});

test("refuses what does not fit", () => {
  const [x, w] = [sample([3, 4]), sample([5, 4], 2)];
  expect(() => linearSegmentMax(x, w, undefined, offsets(2))).toThrow(expect.objectContaining({ code: "OFFSETS" }));
  for (const chunkOutputs of [0, -1, 2.5, Number.NaN])
    expect(() => linearSegmentMax(x, w, undefined, offsets(3), { chunkOutputs })).toThrow(
      expect.objectContaining({ code: "INVALID_OPTION", remedy: expect.any(String) }),
    );
  for (const [rows, matrix, bias] of [
    [sample([3, 2]), w, undefined],
    [sample([3]), w, undefined],
    [x, w, sample([4])],
  ] as const)
    expect(() => linearSegmentMax(rows, matrix, bias, offsets(3))).toThrow(
      expect.objectContaining({ code: "SHAPE_MISMATCH" }),
    );
});
