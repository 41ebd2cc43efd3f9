import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { grad } from "../autograd.js";
import { type Tensor, tensor } from "../tensor.js";
import { expectClose, expectNativeEqualsReference, gradientCheck, sampleNumbers } from "../testing/index.js";
import * as ops from "./elementwise.js";
import { matmul } from "./matmul.js";
import { broadcastTo, concat, pad, permute, reshape, slice, transpose } from "./movement.js";
import { argmax, max, mean, min, sum, topK, variance } from "./reduce.js";
import { scatterRows, take } from "./rows.js";

const sample = (shape: readonly number[], seed = 1): Tensor =>
  tensor(
    Float32Array.from(
      sampleNumbers(
        shape.reduce((a, b) => a * b, 1),
        seed,
      ),
    ),
    shape,
  );

const unaries = [
  "neg",
  "exp",
  "log",
  "sqrt",
  "rsqrt",
  "abs",
  "reciprocal",
  "square",
  "erf",
  "tanh",
  "sigmoid",
  "sin",
  "cos",
  "softplus",
  "relu",
] as const;
const positive = new Set<string>(["log", "sqrt", "rsqrt"]);

describe("unary operations", () => {
  for (const name of unaries) {
    it(`${name}: gradient and second derivative`, () => {
      gradientCheck(ops[name], [[7]], { positive: positive.has(name) });
      gradientCheck((x) => grad([sum(ops[name](x))], [x], { createGraph: true })[0], [[5]], {
        positive: positive.has(name),
        tolerance: 1e-5,
      });
    });
    it(`${name}: native equals reference on odd sizes`, () => {
      for (const size of [0, 1, 13, 16_411]) {
        expectNativeEqualsReference(() => ops[name](positive.has(name) ? ops.abs(sample([size])) : sample([size])));
      }
    });
  }
});

describe("binary operations", () => {
  const pairs = [
    [
      [3, 4],
      [3, 4],
    ],
    [[3, 4], [4]],
    [
      [3, 4],
      [3, 1],
    ],
    [
      [2, 3, 4],
      [3, 1],
    ],
    [
      [3, 1],
      [1, 4],
    ],
    [[3, 4], []],
    [[0, 4], [4]],
    [[1], [5]],
    [
      [2, 1, 4],
      [1, 3, 1],
    ],
  ];
  for (const name of ["add", "sub", "mul", "div", "maximum", "minimum", "pow"] as const) {
    it(`${name}: broadcasting, gradients, native equals reference`, () => {
      for (const [a, b] of pairs) {
        gradientCheck((x, y) => ops[name](x, y), [a, b], { positive: name === "pow" });
        gradientCheck((y, x) => ops[name](x, y), [b, a], { positive: name === "pow" });
        expectNativeEqualsReference(() => ops[name](ops.abs(sample(a)), ops.abs(sample(b, 2))));
        expectNativeEqualsReference(() => ops[name](ops.abs(sample(b, 2)), ops.abs(sample(a))));
      }
      expectNativeEqualsReference(() => ops[name](ops.abs(sample([131, 257])), 1.5));
    });
  }
  it("broadcasts as nested loops do", () => {
    const shape = fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 4 });
    fc.assert(
      fc.property(
        shape,
        fc.array(fc.boolean(), { minLength: 8, maxLength: 8 }),
        fc.integer({ min: 0, max: 2 }),
        (full, ones, drop) => {
          const a = full.map((size, i) => (ones[i] ? 1 : size));
          const b = full.map((size, i) => (ones[i + 4] ? 1 : size)).slice(Math.min(drop, full.length));
          expectNativeEqualsReference(() => ops.sub(sample(a), sample(b, 5)));
          const x = sample(a);
          const y = sample(b, 5);
          const wide = full.map((_, i) => Math.max(a[i], b[i - (full.length - b.length)] ?? 1));
          const direct = ops.sub(x, y).toTypedArray();
          const stretched = ops.sub(broadcastTo(x, wide), broadcastTo(y, wide)).toTypedArray();
          expectClose(direct, stretched, 0);
        },
      ),
      { numRuns: 60 },
    );
  });
  it("refuses shapes that do not broadcast, with a code", () => {
    expect(() => ops.add(sample([3]), sample([4]))).toThrow(expect.objectContaining({ code: "SHAPE_MISMATCH" }));
    expect(() => ops.add(sample([3]), tensor(Int32Array.of(1)))).toThrow(
      expect.objectContaining({ code: "DTYPE_NOT_SUPPORTED" }),
    );
  });
  it("where, clamp and comparisons", () => {
    const x = tensor([-2, 0.5, 3]);
    expect(ops.where(ops.greater(x, 0), x, 0).toArray()).toEqual([0, 0.5, 3]);
    expect(ops.clamp(x, -1, 1).toArray()).toEqual([-1, 0.5, 1]);
    gradientCheck((a, b) => ops.where(tensor([1, 0, 1]), a, b), [[3], [3]]);
  });
});

describe("movement", () => {
  it("gradients of views and copies", () => {
    gradientCheck((x) => permute(x, [2, 0, 1]), [[2, 3, 4]]);
    gradientCheck((x) => reshape(transpose(x), [2, -1]), [[3, 4]]);
    gradientCheck((x) => slice(x, [{}, { start: 1, end: -1 }]), [[3, 4]]);
    gradientCheck(
      (x) =>
        pad(x, [
          [1, 0],
          [0, 2],
        ]),
      [[3, 4]],
    );
    gradientCheck(
      (a, b) => concat([a, transpose(b)], 1),
      [
        [3, 2],
        [4, 3],
      ],
    );
    gradientCheck((x) => broadcastTo(x, [2, 3, 4]), [[3, 1]]);
  });
  it("operations on views equal operations on copies", () => {
    const x = sample([5, 7]);
    const view = transpose(slice(x, [{ start: 1 }, { start: 2, end: 6 }]));
    const copy = tensor(view.toTypedArray(), view.shape);
    expectClose(ops.exp(view).toTypedArray(), ops.exp(copy).toTypedArray(), 0);
    expectClose(sum(view, [0]).toTypedArray(), sum(copy, [0]).toTypedArray(), 1e-6);
    expectClose(matmul(view, transpose(view)).toTypedArray(), matmul(copy, transpose(copy)).toTypedArray(), 1e-6);
  });
});

describe("reductions", () => {
  it("gradients over any axes", () => {
    for (const axes of [undefined, [0], [1], [2], [0, 2], [1, 2], [-1]] as const) {
      gradientCheck((x) => sum(x, axes), [[2, 3, 4]]);
      gradientCheck((x) => mean(x, axes, true), [[2, 3, 4]]);
      gradientCheck((x) => max(x, axes), [[2, 3, 4]]);
      gradientCheck((x) => min(x, axes), [[2, 3, 4]]);
      gradientCheck((x) => variance(x, axes), [[2, 3, 4]]);
    }
  });
  it("native equals reference on odd sizes", () => {
    for (const shape of [[1], [0, 3], [3, 0], [17, 131], [5, 3, 67]]) {
      for (const axis of shape.keys()) {
        expectNativeEqualsReference(() => sum(sample(shape), [axis]));
        expectNativeEqualsReference(() => max(sample(shape), [axis]));
        expectNativeEqualsReference(() => min(sample(shape), [axis]));
      }
    }
    expect(sum(sample([0])).item()).toBe(0);
  });
  it("finds the largest", () => {
    const x = tensor([
      [1, 5, 3],
      [9, 2, 9],
    ]);
    expect(argmax(x).toArray()).toEqual([1, 0]);
    const { values, indices } = topK(x, 2);
    expect(values.toArray()).toEqual([
      [5, 3],
      [9, 9],
    ]);
    expect(indices.toArray()).toEqual([
      [1, 2],
      [0, 2],
    ]);
  });
});

describe("matmul", () => {
  it("gradients with batches, broadcasting and transposes", () => {
    gradientCheck(
      (a, b) => matmul(a, b),
      [
        [3, 4],
        [4, 2],
      ],
    );
    gradientCheck(
      (a, b) => matmul(a, transpose(b)),
      [
        [2, 3, 4],
        [5, 4],
      ],
    );
    gradientCheck(
      (a, b) => matmul(a, b),
      [
        [2, 1, 3, 4],
        [5, 4, 2],
      ],
    );
  });
  it("native equals reference on odd sizes", () => {
    for (const [m, k, n] of [
      [0, 3, 2],
      [3, 0, 2],
      [1, 1, 1],
      [1, 67, 131],
      [7, 13, 17],
      [65, 129, 67],
    ]) {
      expectNativeEqualsReference(() => matmul(sample([m, k]), sample([k, n], 2)), 1e-4);
      expectNativeEqualsReference(() => matmul(transpose(sample([k, m])), transpose(sample([n, k], 2))), 1e-4);
      expectNativeEqualsReference(() => matmul(sample([3, m, k]), sample([k, n], 2)), 1e-4);
      expectNativeEqualsReference(() => matmul(sample([3, m, k]), permute(sample([3, n, k], 2), [0, 2, 1])), 1e-4);
      expectNativeEqualsReference(() => matmul(permute(sample([m, 3, k]), [1, 0, 2]), sample([3, k, n], 2)), 1e-4);
    }
  });
});

describe("rows", () => {
  it("gradients", () => {
    gradientCheck((x) => take(x, tensor(Int32Array.of(2, 0, 2))), [[3, 4]]);
    gradientCheck((x) => scatterRows(x, tensor(Int32Array.of(2, 0, 2)), 4), [[3, 2]]);
  });
  it("native equals reference", () => {
    expectNativeEqualsReference(() => take(sample([11, 37]), tensor(Int32Array.of(10, 3, 3, 0))));
    expectNativeEqualsReference(() => scatterRows(sample([4, 133]), tensor(Int32Array.of(1, 3, 3, 0)), 5));
  });
  it("many narrow rows, which several threads take and add up: native equals reference", () => {
    for (const width of [3, 16, 37]) {
      // Some rows of y get many of x, one none.
      const places = () => tensor(Int32Array.from({ length: 12_000 }, (_, i) => (i * i + 7 * i) % 299));
      expectNativeEqualsReference(() => take(sample([300, width]), places()), 0);
      expectNativeEqualsReference(() => scatterRows(sample([12_000, width]), places(), 300), 1e-3);
    }
  });
  it("a vector beside many narrow rows: native equals reference", () => {
    for (const width of [2, 4, 7, 16, 64, 65]) {
      const [x, vector] = [() => sample([1037, width]), () => sample([width], 2)];
      expectNativeEqualsReference(() => ops.sub(x(), vector()), 0);
      expectNativeEqualsReference(() => ops.sub(vector(), x()), 0);
    }
  });
  it("refuses an index outside the table", () => {
    expect(() => take(sample([3, 2]), tensor(Int32Array.of(3)))).toThrow(
      expect.objectContaining({ code: "INDEX_OUT_OF_RANGE" }),
    );
  });
});

it("mixInPlace is a weighted mean of two tensors, over the first one", () => {
  const a = tensor([1, 2, 3]);
  ops.mixInPlace(a, tensor([5, 6, 7]), 0.25);
  expect(a.toArray()).toEqual([2, 3, 4]);
  expect(() => ops.mixInPlace(a, tensor([1]), 0.5)).toThrow(expect.objectContaining({ code: "SHAPE_MISMATCH" }));
});
