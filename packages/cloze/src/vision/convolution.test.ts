// Convolutions on active places against loops that gather and scatter, masked dense ones, and other forms of themselves.
import {
  add,
  backward,
  conv2d,
  copyOf,
  createReferenceBackend,
  mul,
  parameter,
  randomNormal,
  reshape,
  scope,
  sum,
  type Tensor,
  tensor,
  withBackend,
} from "@cloze/tensor";
import { describe, expect, test } from "vitest";
import { randomSource } from "../data/random-source.js";
import { type ActiveMask, activeAt, drawActive } from "./active-mask.js";
import { batchNorm } from "./batch-norm.js";
import { type ConvolveOptions, convolve, convolveDepthwise, convolveTransposed, maxPool } from "./convolution.js";
import { createLayout, denseFeatures, type FeatureMap, restrict } from "./feature-map.js";

const images = 2;
const side = 8;
const active: ActiveMask = drawActive({ images, rows: 4, columns: 4, maskRatio: 0.5 }, randomSource(1));
const layout = createLayout(images, side, side, active);
const all = createLayout(images, side, side);
const sample = (shape: readonly number[], seed: number): Tensor => randomNormal(shape, { seed });
const map = (channels: number, seed = 1, where = layout): FeatureMap => ({
  rows: sample([where.count, channels], seed),
  layout: where,
});
const numbers = (x: Tensor): number[] => [...x.toTypedArray()];

function expectNear(received: ArrayLike<number>, expected: ArrayLike<number>, tolerance = 1e-5): void {
  expect(received.length).toBe(expected.length);
  for (let i = 0; i < expected.length; i++) {
    expect(Math.abs(received[i] - expected[i])).toBeLessThanOrEqual(tolerance * Math.max(1, Math.abs(expected[i])));
  }
}

/** Loops: each active output gathers from active inputs alone. kernel: [out, in, k, k] */
function gatherScatter(x: FeatureMap, kernel: Tensor, stride: number, padding: number, bias?: Tensor): number[] {
  const [outputs, inputs, taps] = kernel.shape;
  const [rows, weights, shift] = [x.rows.toTypedArray(), kernel.toTypedArray(), bias?.toTypedArray()];
  const size = Math.floor((side + 2 * padding - taps) / stride) + 1;
  const seenIn = activeAt(active, side, side);
  const seenOut = activeAt(active, size, size);
  const rowAt = new Map<number, number>();
  seenIn.forEach((seen, place) => {
    if (seen === 1) rowAt.set(place, rowAt.size);
  });
  const result = new Array<number>(images * size * size * outputs).fill(0);
  for (let image = 0; image < images; image++)
    for (let y = 0; y < size; y++)
      for (let z = 0; z < size; z++) {
        const place = (image * size + y) * size + z;
        if (seenOut[place] === 0) continue;
        for (let o = 0; o < outputs; o++) {
          let total = shift?.[o] ?? 0;
          for (let i = 0; i < taps; i++)
            for (let j = 0; j < taps; j++) {
              const [from, to] = [y * stride - padding + i, z * stride - padding + j];
              if (from < 0 || from >= side || to < 0 || to >= side) continue;
              const row = rowAt.get((image * side + from) * side + to);
              if (row === undefined) continue;
              for (let c = 0; c < inputs; c++) {
                total += rows[row * inputs + c] * weights[((o * inputs + c) * taps + i) * taps + j];
              }
            }
          result[place * outputs + o] = total;
        }
      }
  return result;
}

describe("a submanifold convolution", () => {
  test.each<[number, number, number]>([
    [3, 1, 1],
    [3, 2, 1],
    [1, 1, 0],
    [1, 2, 0],
    [2, 2, 0],
    [7, 1, 3],
  ])("of %s places, stride %s, padding %s equals loops, and a masked dense one", (taps, stride, padding) => {
    const x = map(3);
    const kernel = sample([5, 3, taps, taps], 2);
    const bias = sample([5], 3);
    const found = numbers(denseFeatures(convolve(x, kernel, { stride, padding, bias })));
    expectNear(found, gatherScatter(x, kernel, stride, padding, bias));
    const dense = conv2d(denseFeatures(x), kernel, { stride, padding, bias, channels: "last" });
    const [, height, width] = dense.shape;
    const mask = tensor(Float32Array.from(activeAt(active, height, width)), [images, height, width, 1]);
    expectNear(found, numbers(mul(dense, mask)));
  });
  test("keeps the share of active places where dense convolutions lose it", () => {
    // 6 of 16 cells of 8 x 8 pixels; what a convolution reaches shows up as a number above 0.
    const patches = drawActive({ images: 8, rows: 4, columns: 4, maskRatio: 0.6 }, randomSource(2));
    const shareOf = (sparse: boolean): number => {
      const where = createLayout(8, 32, 32, patches);
      const start: FeatureMap = {
        rows: tensor(new Float32Array(where.count).fill(1), [where.count, 1]),
        layout: where,
      };
      const everywhere = createLayout(8, 32, 32);
      let x = sparse ? start : { rows: reshape(denseFeatures(start), [everywhere.count, 1]), layout: everywhere };
      const kernel = tensor(new Float32Array(9).fill(1 / 9), [1, 1, 3, 3]);
      for (let i = 0; i < 8; i++) x = convolve(x, kernel);
      return (
        denseFeatures(x)
          .toTypedArray()
          .filter((value) => value > 0).length / everywhere.count
      );
    };
    expect(shareOf(true)).toBe(6 / 16);
    expect(shareOf(false)).toBeGreaterThan(0.95);
  });
});

test("a depthwise convolution equals a dense one in groups", () => {
  const x = map(4);
  const [kernel, bias] = [sample([4, 1, 7, 7], 2), sample([4], 3)];
  const dense = conv2d(denseFeatures(x), kernel, { padding: 3, groups: 4, bias, channels: "last" });
  const found = convolveDepthwise(x, kernel, { bias });
  const wanted = restrict({ rows: reshape(dense, [all.count, 4]), layout: all }, layout);
  expectNear(numbers(found.rows), numbers(wanted.rows));
});

test("the largest of a window is that of its active places, above 0", () => {
  const x: FeatureMap = { rows: mul(sample([layout.count, 1], 1), sample([layout.count, 1], 1)), layout };
  const found = denseFeatures(maxPool(x, { kernel: [3, 3], stride: 2, padding: 1 })).toTypedArray();
  const dense = denseFeatures(x).toTypedArray();
  const seen = activeAt(active, 4, 4);
  for (let place = 0; place < found.length; place++) {
    const [image, y, z] = [Math.floor(place / 16), Math.floor(place / 4) % 4, place % 4];
    let most = 0;
    for (let i = 2 * y - 1; i <= 2 * y + 1; i++)
      for (let j = 2 * z - 1; j <= 2 * z + 1; j++)
        if (i >= 0 && j >= 0 && i < side && j < side) most = Math.max(most, dense[(image * side + i) * side + j]);
    expect(found[place]).toBe(seen[place] === 1 ? most : 0);
  }
});

describe("a transposed convolution", () => {
  /** Zeros between the places, then a convolution with the kernel turned around. x: [images, h, w, in] */
  function plain(x: Tensor, kernel: Tensor, stride: number, padding: number, bias: Tensor): Tensor {
    const [count, height, width, inputs] = x.shape;
    const [, outputs, taps] = kernel.shape;
    const sizes = [(height - 1) * stride + 1, (width - 1) * stride + 1];
    const places: number[] = [];
    for (let i = 0; i < count; i++)
      for (let y = 0; y < height; y++)
        for (let z = 0; z < width; z++) places.push((i * sizes[0] + y * stride) * sizes[1] + z * stride);
    const values = x.toTypedArray();
    const spread = new Float32Array(count * sizes[0] * sizes[1] * inputs);
    places.forEach((place, row) => {
      spread.set(values.subarray(row * inputs, (row + 1) * inputs), place * inputs);
    });
    const weights = kernel.toTypedArray();
    const turned = new Float32Array(weights.length);
    for (let c = 0; c < inputs; c++)
      for (let o = 0; o < outputs; o++)
        for (let t = 0; t < taps * taps; t++)
          turned[(o * inputs + c) * taps * taps + (taps * taps - 1 - t)] = weights[(c * outputs + o) * taps * taps + t];
    return conv2d(tensor(spread, [count, ...sizes, inputs]), tensor(turned, [outputs, inputs, taps, taps]), {
      padding: taps - 1 - padding,
      bias,
      channels: "last",
    });
  }
  test.each<[number, number, number]>([
    [4, 2, 1],
    [2, 2, 0],
    [3, 1, 1],
  ])("of %s places, stride %s, padding %s equals zeros between, then a turned kernel", (taps, stride, padding) => {
    const small = createLayout(images, 5, 4);
    const x = map(3, 1, small);
    const [kernel, bias] = [sample([3, 6, taps, taps], 2), sample([6], 3)];
    const found = denseFeatures(convolveTransposed(x, kernel, { stride, padding, bias }));
    const wanted = plain(denseFeatures(x), kernel, stride, padding, bias);
    expect(found.shape).toEqual(wanted.shape);
    expectNear(numbers(found), numbers(wanted));
  });
});

describe("gradients equal finite differences", () => {
  const few = createLayout(1, 4, 4, drawActive({ images: 1, rows: 2, columns: 2, maskRatio: 0.5 }, randomSource(1)));
  const small = createLayout(1, 2, 2);
  const options: ConvolveOptions = { stride: 2, padding: 1 };
  const running = () => ({ mean: tensor(new Float64Array(2)), variance: tensor(new Float64Array(2).fill(1)) });
  const cases: Record<string, { shapes: number[][]; run: (inputs: Tensor[]) => Tensor }> = {
    convolve: {
      shapes: [[few.count, 2], [3, 2, 3, 3], [3]],
      run: ([rows, kernel, bias]) => convolve({ rows, layout: few }, kernel, { bias, stride: 2 }).rows,
    },
    convolveDepthwise: {
      shapes: [[few.count, 2], [2, 1, 3, 3], [2]],
      run: ([rows, kernel, bias]) => convolveDepthwise({ rows, layout: few }, kernel, { bias }).rows,
    },
    convolveTransposed: {
      shapes: [[small.count, 2], [2, 3, 4, 4], [3]],
      run: ([rows, kernel, bias]) => convolveTransposed({ rows, layout: small }, kernel, { ...options, bias }).rows,
    },
    batchNorm: {
      shapes: [[7, 2], [2], [2]],
      run: ([x, weight, bias]) => batchNorm(x, { weight, bias, running: running(), training: true }),
    },
    "batchNorm in use": {
      shapes: [[7, 2], [2], [2]],
      run: ([x, weight, bias]) => batchNorm(x, { weight, bias, running: running(), training: false }),
    },
  };
  test.each(Object.entries(cases))("%s", (_, { shapes, run }) => {
    withBackend(createReferenceBackend(), () => {
      const values = shapes.map((shape, i) => randomNormal(shape, { seed: 10 + i, dtype: "float64" }).toTypedArray());
      const value = (inputs: Tensor[]): Tensor => {
        const y = run(inputs);
        return sum(mul(y, randomNormal(y.shape, { seed: 99, dtype: "float64" })));
      };
      const inputs = values.map((list, i) => parameter(tensor(list, shapes[i])));
      scope(() => backward(value(inputs)));
      inputs.forEach((input, which) => {
        const gradient = copyOf(input.grad as Tensor).toTypedArray();
        gradient.forEach((received, at) => {
          const moved = (step: number) =>
            scope(() =>
              value(
                values.map((list, i) =>
                  tensor(i === which ? list.map((x, l) => (l === at ? x + step : x)) : list, shapes[i]),
                ),
              ).item(),
            );
          expect(received).toBeCloseTo((moved(1e-5) - moved(-1e-5)) / 2e-5, 5);
        });
      });
    });
  });
});

test("batch statistics are those of the gathered rows, and move the running ones", () => {
  const rows = sample([layout.count, 3], 5);
  const dense = denseFeatures({ rows: add(mul(rows, 2), 7), layout }).toTypedArray() as Float32Array;
  const seen = activeAt(active, side, side);
  const gathered = Array.from(seen.keys())
    .filter((place) => seen[place] === 1)
    .map((place) => dense.subarray(place * 3, place * 3 + 3));
  const running = { mean: tensor(new Float32Array(3)), variance: tensor(new Float32Array(3).fill(1)) };
  const identity = { weight: tensor([1, 1, 1]), bias: tensor([0, 0, 0]) };
  const y = batchNorm(add(mul(rows, 2), 7), { ...identity, running, training: true });
  for (let channel = 0; channel < 3; channel++) {
    const values = gathered.map((row) => row[channel]);
    const mean = values.reduce((a, b) => a + b) / values.length;
    const squares = values.reduce((total, value) => total + (value - mean) ** 2, 0);
    expect(running.mean.toTypedArray()[channel]).toBeCloseTo(0.1 * mean, 5);
    expect(running.variance.toTypedArray()[channel]).toBeCloseTo(0.9 + (0.1 * squares) / (values.length - 1), 5);
    const expected = values.map((value) => (value - mean) / Math.sqrt(squares / values.length + 1e-5));
    expectNear(
      numbers(y).filter((_, i) => i % 3 === channel),
      expected,
    );
  }
  // What dense statistics over zeros would say is something else.
  const zeros = dense.filter((_, i) => i % 3 === 0);
  expect(zeros.reduce((a, b) => a + b) / zeros.length).toBeLessThan(6);
});
