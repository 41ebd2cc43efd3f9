import { describe, expect, it } from "vitest";
import { grad } from "../autograd.js";
import { randomNormal } from "../random.js";
import type { Tensor } from "../tensor.js";
import { expectClose, expectNativeEqualsReference, gradientCheck } from "../testing/index.js";
import { type ConvolutionOptions, conv1d, conv2d } from "./convolution.js";
import { mul } from "./elementwise.js";
import { permute, reshape, slice } from "./movement.js";
import { sum } from "./reduce.js";

const sample = (shape: readonly number[], seed = 1): Tensor => randomNormal(shape, { seed });

interface Plain {
  stride: readonly number[];
  padding: readonly number[];
  dilation: readonly number[];
  groups: number;
}

/** Nested loops over [batch, in, height, width] and [out, in / groups, rows, columns]. */
function naive(x: Tensor, w: Tensor, { stride, padding, dilation, groups }: Plain) {
  const [batch, inputs, height, width] = x.shape;
  const [outputs, perGroup, rows, columns] = w.shape;
  const data = x.toTypedArray();
  const kernel = w.toTypedArray();
  const high = Math.floor((height + 2 * padding[0] - dilation[0] * (rows - 1) - 1) / stride[0]) + 1;
  const wide = Math.floor((width + 2 * padding[1] - dilation[1] * (columns - 1) - 1) / stride[1]) + 1;
  const y: number[] = [];
  for (let b = 0; b < batch; b++)
    for (let o = 0; o < outputs; o++)
      for (let i = 0; i < high; i++)
        for (let j = 0; j < wide; j++) {
          let total = 0;
          const group = Math.floor(o / (outputs / groups));
          for (let c = 0; c < perGroup; c++)
            for (let r = 0; r < rows; r++)
              for (let s = 0; s < columns; s++) {
                const at = i * stride[0] - padding[0] + r * dilation[0];
                const to = j * stride[1] - padding[1] + s * dilation[1];
                if (at < 0 || at >= height || to < 0 || to >= width) continue;
                const channel = group * perGroup + c;
                total +=
                  data[((b * inputs + channel) * height + at) * width + to] *
                  kernel[((o * perGroup + c) * rows + r) * columns + s];
              }
          y.push(total);
        }
  return { shape: [batch, outputs, high, wide], values: y };
}

const cases: { x: number[]; w: number[]; options: Plain }[] = [];
for (const [stride, padding, dilation] of [
  [
    [1, 1],
    [0, 0],
    [1, 1],
  ],
  [
    [2, 3],
    [1, 2],
    [1, 1],
  ],
  [
    [1, 2],
    [2, 0],
    [2, 3],
  ],
]) {
  cases.push({ x: [2, 3, 7, 11], w: [5, 3, 3, 2], options: { stride, padding, dilation, groups: 1 } });
  cases.push({ x: [1, 4, 7, 8], w: [6, 2, 2, 3], options: { stride, padding, dilation, groups: 2 } });
  cases.push({ x: [2, 5, 7, 7], w: [5, 1, 3, 2], options: { stride, padding, dilation, groups: 5 } });
  cases.push({ x: [2, 3, 5, 7], w: [6, 1, 1, 1], options: { stride, padding, dilation, groups: 3 } });
}
const toLast = (x: Tensor) => permute(x, [0, ...x.shape.slice(2).map((_, i) => i + 2), 1]);
const toFirst = (x: Tensor) => permute(x, [0, x.rank - 1, ...x.shape.slice(2).map((_, i) => i + 1)]);

describe("conv2d", () => {
  for (const { x, w, options } of cases) {
    it(`equals nested loops: ${JSON.stringify({ x, w, ...options })}`, () => {
      const wanted = naive(sample(x), sample(w, 2), options);
      const y = conv2d(sample(x), sample(w, 2), options);
      expect(y.shape).toEqual(wanted.shape);
      expectClose(y.toTypedArray(), wanted.values, 1e-5);
      const last = toFirst(conv2d(toLast(sample(x)), sample(w, 2), { ...options, channels: "last" }));
      expectClose(last.toTypedArray(), wanted.values, 1e-5);
    });
  }
  it("gradients: input, kernel, bias, groups, both layouts", () => {
    for (const groups of [1, 2, 4]) {
      for (const channels of ["first", "last"] as const) {
        const options: ConvolutionOptions = { stride: [2, 1], padding: [1, 0], dilation: [1, 2], groups, channels };
        gradientCheck(
          (x, w, b) => conv2d(x, w, { ...options, bias: b }),
          [channels === "first" ? [2, 4, 5, 4] : [2, 5, 4, 4], [4, 4 / groups, 2, 2], [4]],
        );
      }
    }
  });
});

describe("conv1d", () => {
  const cases1d = cases.map(({ x, w, options }) => ({
    x: [x[0], x[1], x[3]],
    w: [w[0], w[1], w[3]],
    options: { ...options, stride: options.stride[1], padding: options.padding[1], dilation: options.dilation[1] },
  }));
  it("equals conv2d over one row; native equals reference", () => {
    for (const { x, w, options } of cases1d) {
      const flat = naive(sample([x[0], x[1], 1, x[2]]), sample([w[0], w[1], 1, w[2]], 2), {
        stride: [1, options.stride],
        padding: [0, options.padding],
        dilation: [1, options.dilation],
        groups: options.groups,
      });
      expectClose(conv1d(sample(x), sample(w, 2), options).toTypedArray(), flat.values, 1e-5);
      expectNativeEqualsReference(() => conv1d(sample(x), sample(w, 2), options));
    }
  });
  it("keeps the length with padding: same", () => {
    for (const taps of [1, 2, 3, 4]) {
      for (const dilation of [1, 2]) {
        const y = conv1d(sample([2, 3, 9]), sample([5, 3, taps]), { padding: "same", dilation });
        expect(y.shape).toEqual([2, 5, 9]);
      }
    }
  });
  it("gradients and second derivatives", () => {
    gradientCheck(
      (x, w) => conv1d(x, w, { padding: "same", groups: 2, channels: "last" }),
      [
        [2, 5, 4],
        [6, 2, 3],
      ],
    );
    const square = (y: Tensor) => sum(mul(y, mul(y, y)));
    gradientCheck(
      (x, w) => grad([square(conv1d(x, w))], [w], { createGraph: true })[0],
      [
        [1, 2, 4],
        [2, 2, 2],
      ],
      { tolerance: 1e-5 },
    );
  });
  it("views, empty batches, one place", () => {
    const view = permute(slice(sample([9, 3, 4]), [{ start: 1, end: 8 }]), [1, 2, 0]);
    const w = sample([5, 4, 3], 2);
    const row = (x: Tensor) => reshape(x, [x.shape[0], x.shape[1], 1, x.shape[2]]);
    const wanted = naive(row(view), row(w), { stride: [1, 1], padding: [0, 0], dilation: [1, 1], groups: 1 });
    expectClose(conv1d(view, w).toTypedArray(), wanted.values, 1e-5);
    expect(conv1d(sample([0, 4, 7]), w).shape).toEqual([0, 5, 5]);
    expect(conv1d(sample([2, 4, 3]), w).shape).toEqual([2, 5, 1]);
  });
  it("refuses what does not fit, with a remedy", () => {
    const bad: [number[], number[], ConvolutionOptions, string][] = [
      [[2, 4, 7, 1], [5, 4, 3], {}, "SHAPE_MISMATCH"],
      [[2, 4, 7], [5, 4], {}, "SHAPE_MISMATCH"],
      [[2, 4, 7], [5, 3, 3], {}, "SHAPE_MISMATCH"],
      [[2, 4, 7], [5, 2, 3], { groups: 2 }, "SHAPE_MISMATCH"],
      [[2, 4, 7], [5, 4, 8], {}, "SHAPE_MISMATCH"],
      [[2, 4, 7], [5, 4, 4], { dilation: 3 }, "SHAPE_MISMATCH"],
      [[2, 4, 7], [5, 4, 0], {}, "SHAPE_MISMATCH"],
      [[2, 4, 7], [5, 4, 3], { bias: sample([4]) }, "SHAPE_MISMATCH"],
      [[2, 4, 7], [5, 4, 3], { stride: 0 }, "INVALID_OPTION"],
      [[2, 4, 7], [5, 4, 3], { padding: -1 }, "INVALID_OPTION"],
      [[2, 4, 7], [5, 4, 3], { stride: [1, 1] }, "INVALID_OPTION"],
      [[2, 4, 7], [5, 4, 3], { groups: 0.5 }, "INVALID_OPTION"],
    ];
    for (const [x, w, options, code] of bad) {
      expect(() => conv1d(sample(x), sample(w), options)).toThrow(expect.objectContaining({ code }));
    }
  });
});
