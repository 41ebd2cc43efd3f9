import { describe, expect, test } from "vitest";
import { backward, grad } from "../autograd.js";
import { createNativeBackend, createReferenceBackend, withBackend } from "../backend/index.js";
import { composed } from "../graph.js";
import { linearCrossEntropy } from "../linear-cross-entropy.js";
import { memory, scope } from "../memory.js";
import { elementCount, type Shape } from "../shape.js";
import { type Tensor, tensor, zeros } from "../tensor.js";
import { expectClose, expectNativeEqualsReference, gradientCheck, sampleNumbers } from "../testing/index.js";
import { activation, gelu, geluTanh, silu } from "./activation.js";
import { attention, selfAttention } from "./attention.js";
import { dropout } from "./dropout.js";
import { add, mul, mulInPlace, tanh } from "./elementwise.js";
import { linear } from "./linear.js";
import { binaryCrossEntropy, crossEntropy, meanSquaredError } from "./loss.js";
import { permute, slice } from "./movement.js";
import { layerNorm, rmsNorm } from "./norm.js";
import { packWeights } from "./packed-weights.js";
import { sum } from "./reduce.js";
import { gate, rotary } from "./rotary.js";
import { takeGated } from "./rows.js";
import { segmentMean, segmentSum } from "./segment.js";
import { logSoftmax, logSumExp, softmax } from "./softmax.js";

const sample = (shape: Shape, seed = 1): Tensor =>
  tensor(Float32Array.from(sampleNumbers(elementCount(shape), seed)), shape);

/** A third of a circle more for each pair and row, through cosine or sine. [rows, 3] */
const angles = (x: Tensor, f: (angle: number) => number): Tensor =>
  tensor(
    Float64Array.from({ length: 3 * x.shape[0] }, (_, i) => f(0.3 * i + 1)),
    [x.shape[0], 3],
    x.dtype,
  );

interface Case {
  f: (...inputs: Tensor[]) => Tensor;
  shapes: Shape[];
}

const offsets = (...ends: number[]) => tensor(Int32Array.of(0, ...ends));
const targets = (...ids: number[]) => tensor(Int32Array.of(...ids));

const cases: Record<string, Case> = {
  gelu: { f: gelu, shapes: [[3, 7]] },
  "gelu by tanh": { f: geluTanh, shapes: [[3, 7]] },
  silu: { f: silu, shapes: [[13]] },
  "relu, fused": { f: (x) => activation(x, "relu"), shapes: [[13]] },
  "tanh, fused": { f: (x) => activation(x, "tanh"), shapes: [[13]] },
  "quick GELU": { f: (x) => activation(x, "quickGelu"), shapes: [[13]] },
  softmax: { f: softmax, shapes: [[3, 11]] },
  "softmax of a transposed view": { f: (x) => softmax(permute(x, [1, 0])), shapes: [[5, 3]] },
  logSoftmax: { f: logSoftmax, shapes: [[3, 11]] },
  logSumExp: { f: (x) => logSumExp(x), shapes: [[3, 11]] },
  layerNorm: { f: (x, w, b) => layerNorm(x, w, b), shapes: [[4, 13], [13], [13]] },
  "layerNorm of three axes": { f: (x, w, b) => layerNorm(x, w, b, { epsilon: 1e-3 }), shapes: [[2, 3, 5], [5], [5]] },
  "layerNorm without bias": { f: (x, w) => layerNorm(x, w, undefined), shapes: [[4, 13], [13]] },
  "layerNorm with a residual": {
    f: (x, w, b, r) => layerNorm(x, w, b, { residual: r }),
    shapes: [[4, 13], [13], [13], [4, 13]],
  },
  "layerNorm of x + x": { f: (x, w, b) => layerNorm(x, w, b, { residual: x }), shapes: [[4, 13], [13], [13]] },
  rmsNorm: { f: (x, w) => rmsNorm(x, w), shapes: [[4, 13], [13]] },
  dropout: { f: (x) => dropout(x, 0.3, 7), shapes: [[5, 11]] },
  linear: { f: (x, w, b) => linear(x, w, b), shapes: [[5, 7], [3, 7], [3]] },
  "linear without bias": {
    f: (x, w) => linear(x, w),
    shapes: [
      [5, 7],
      [3, 7],
    ],
  },
  "linear of one vector": { f: (x, w, b) => linear(x, w, b), shapes: [[7], [3, 7], [3]] },
  "linear of three axes with GELU": {
    f: (x, w, b) => linear(x, w, b, { activation: "gelu" }),
    shapes: [[2, 3, 7], [5, 7], [5]],
  },
  "linear with SiLU": { f: (x, w, b) => linear(x, w, b, { activation: "silu" }), shapes: [[5, 7], [5, 7], [5]] },
  "linear with quick GELU": {
    f: (x, w, b) => linear(x, w, b, { activation: "quickGelu" }),
    shapes: [[5, 7], [5, 7], [5]],
  },
  "linear of a view": {
    f: (x, w) => linear(permute(x, [1, 0]), permute(w, [1, 0])),
    shapes: [
      [5, 7],
      [5, 3],
    ],
  },
  segmentSum: { f: (x) => segmentSum(x, offsets(3, 3, 8)), shapes: [[8, 5]] },
  segmentMean: { f: (x) => segmentMean(x, offsets(3, 3, 8)), shapes: [[8, 5]] },
  rotary: { f: (x) => rotary(x, angles(x, Math.cos), angles(x, Math.sin), { heads: 2, size: 6 }), shapes: [[4, 17]] },
  "rotary, interleaved": {
    f: (x) => rotary(x, angles(x, Math.cos), angles(x, Math.sin), { heads: 3, size: 6, interleaved: true }),
    shapes: [[5, 18]],
  },
  "gate with GELU": { f: (x) => gate(x, "gelu"), shapes: [[3, 26]] },
  "gate with quick GELU": { f: (x) => gate(x, "quickGelu"), shapes: [[3, 26]] },
  "gate with SiLU": { f: (x) => gate(x, "silu"), shapes: [[5, 34]] },
  "gate with ReLU, tanh and nothing": {
    f: (x) => add(add(gate(x, "relu"), gate(x, "tanh")), add(gate(x, "none"), gate(x, "geluTanh"))),
    shapes: [[2, 10]],
  },
  attention: { f: (q, k, v) => attention(q, k, v, offsets(3, 3, 8)), shapes: Array(3).fill([8, 2, 5]) },
  "causal attention": {
    f: (q, k, v) => attention(q, k, v, offsets(3, 8), { causal: true }),
    shapes: Array(3).fill([8, 2, 5]),
  },
  "windowed attention": {
    f: (q, k, v) => attention(q, k, v, offsets(1, 8), { window: 2, scale: 0.7 }),
    shapes: Array(3).fill([8, 2, 5]),
  },
  "attention with dropout": {
    f: (q, k, v) => attention(q, k, v, offsets(3, 8), { dropout: 0.3, seed: 5 }),
    shapes: Array(3).fill([8, 2, 5]),
  },
  "attention with hidden tokens": {
    f: (q, k, v) => attention(q, k, v, offsets(3, 8), { hidden: tensor(Int32Array.of(0, 1, 0, 1, 1, 0, 0, 1)) }),
    shapes: Array(3).fill([8, 2, 4]),
  },
  "causal attention with hidden tokens": {
    f: (x) =>
      selfAttention(x, offsets(8), { heads: 2, causal: true, hidden: tensor(Int32Array.of(1, 0, 0, 1, 1, 0, 0, 1)) }),
    shapes: [[8, 12]],
  },
  "attention of views": {
    f: (x, y) =>
      attention(slice(x, [{}, { end: 2 }]), permute(y, [1, 0, 2]), slice(x, [{}, { start: 1, end: 3 }]), offsets(3, 8)),
    shapes: [
      [8, 3, 5],
      [2, 8, 5],
    ],
  },
  takeGated: {
    f: (x, y) => takeGated(x, targets(1, 0, 4, 1), y, targets(0, 1, 2, 2)),
    shapes: [
      [5, 7],
      [3, 7],
    ],
  },
  "takeGated with dropped rows": {
    f: (x, y) => takeGated(x, targets(1, 0, 4, 1, 2, 3), y, targets(0, 1, 2, 2, 1, 0), { dropRows: 0.4, seed: 3 }),
    shapes: [
      [5, 70],
      [3, 70],
    ],
  },
  selfAttention: { f: (x) => selfAttention(x, offsets(3, 8), { heads: 2 }), shapes: [[8, 18]] },
  crossEntropy: { f: (x) => crossEntropy(x, targets(0, -100, 6, 2)), shapes: [[4, 7]] },
  "crossEntropy, summed": { f: (x) => crossEntropy(x, targets(0, 1, 6, 2), { reduction: "sum" }), shapes: [[4, 7]] },
  "crossEntropy per row": {
    f: (x) => crossEntropy(x, targets(0, -100, 6, 2), { reduction: "none" }),
    shapes: [[4, 7]],
  },
  "crossEntropy, smoothed": {
    f: (x) => crossEntropy(x, targets(0, 5, 6, -1), { labelSmoothing: 0.2, ignoreIndex: -1 }),
    shapes: [[4, 7]],
  },
  "crossEntropy, soft labels": {
    f: (x, p) => crossEntropy(x, softmax(p), { labelSmoothing: 0.1 }),
    shapes: [
      [4, 7],
      [4, 7],
    ],
  },
  linearCrossEntropy: {
    f: (x, w, b) => linearCrossEntropy(x, w, b, targets(0, -100, 6, 2, 2), { chunkRows: 2 }),
    shapes: [[5, 3], [7, 3], [7]],
  },
  "linearCrossEntropy, summed, smoothed, no bias": {
    f: (x, w) =>
      linearCrossEntropy(x, w, undefined, targets(0, 5, -1, 2, 2), {
        reduction: "sum",
        labelSmoothing: 0.2,
        ignoreIndex: -1,
        chunkRows: 4,
      }),
    shapes: [
      [5, 3],
      [7, 3],
    ],
  },
  "linearCrossEntropy of rows that become another loss": {
    f: (x, w, b, gate) =>
      linearCrossEntropy(x, w, b, targets(0, -100, 6, 2, 2), {
        rowLoss: { of: (losses, beside) => mul(tanh(losses), sum(beside, [1])), beside: [gate] },
        chunkRows: 2,
      }),
    shapes: [[5, 3], [7, 3], [7], [5, 2]],
  },
  meanSquaredError: {
    f: (x, y) => meanSquaredError(x, y),
    shapes: [
      [4, 7],
      [4, 7],
    ],
  },
  binaryCrossEntropy: {
    f: (x, y) => binaryCrossEntropy(x, y),
    shapes: [
      [4, 7],
      [4, 7],
    ],
  },
};

describe.each(Object.entries(cases))("%s", (_name, { f, shapes }) => {
  test("has the gradient of finite differences", () => gradientCheck(f, shapes));

  test("equals its composed definition, value and gradients, in float64", () => {
    withBackend(createReferenceBackend(), () => {
      const run = () =>
        scope(() => {
          const inputs = shapes.map((shape, i) =>
            tensor(sampleNumbers(elementCount(shape), i + 1), shape).requireGrad(),
          );
          const y = f(...inputs);
          const weights = tensor(sampleNumbers(y.size, 9), y.shape);
          return [y, ...grad([sum(mul(y, weights))], inputs)].map((x) => x.toTypedArray());
        });
      const fused = run();
      composed(run).forEach((values, i) => {
        expectClose(fused[i], values, 1e-6, `result ${i}`);
      });
    });
  });

  test("runs natively as on the reference, value and gradients", () => {
    expectNativeEqualsReference(() => f(...shapes.map((shape, i) => sample(shape, i + 1))));
    shapes.forEach((_, which) => {
      expectNativeEqualsReference(() => {
        const inputs = shapes.map((shape, i) => sample(shape, i + 1).requireGrad());
        const y = f(...inputs);
        return grad([sum(mul(y, sample(y.shape, 9)))], inputs)[which];
      }, 1e-4);
    });
  });
});

test.each([
  [1, 1, 1],
  [2, 64, 67],
  [3, 32, 131],
  [12, 64, 128],
])("attention of %i heads of %i agrees for sequences up to %i, with gradients", (heads, size, longest) => {
  const ends = [longest, longest, longest + 1, longest + 1 + Math.ceil(longest / 2)];
  const shape = [ends[3], 3 * heads * size];
  const hidden = () => tensor(Int32Array.from({ length: ends[3] }, (_, row) => Number(row % 3 === 1)));
  for (const options of [
    {},
    { causal: true },
    { window: 3 },
    { dropout: 0.2, seed: 3 },
    { hidden },
    { hidden, window: 2 },
  ]) {
    const all = () => ({ heads, ...options, hidden: "hidden" in options ? hidden() : undefined });
    expectNativeEqualsReference(() => selfAttention(sample(shape), offsets(...ends), all()));
    if (longest > 100 && heads > 3) continue; // The reference is slow.
    expectNativeEqualsReference(() => {
      const x = sample(shape).requireGrad();
      const y = selfAttention(x, offsets(...ends), all());
      return grad([sum(mul(y, sample(y.shape, 4)))], [x])[0];
    }, 1e-4);
  }
});

test("larger layers agree at odd sizes", () => {
  for (const [rows, n, k] of [
    [0, 5, 3],
    [1, 1, 1],
    [17, 97, 131],
    [65, 130, 67],
  ]) {
    expectNativeEqualsReference(
      () => linear(sample([rows, k]), sample([n, k], 2), sample([n], 3), { activation: "gelu" }),
      1e-4,
    );
    expectNativeEqualsReference(() => layerNorm(sample([rows, n]), sample([n], 2), sample([n], 3)));
    expectNativeEqualsReference(() => softmax(sample([rows, n])));
  }
});

test("the cross-entropy of a layer by chunks agrees at odd sizes, and keeps no matrix of all its outputs", () => {
  for (const [rows, n, k, chunkRows] of [
    [0, 5, 3, 4],
    [67, 97, 33, 20],
    [130, 33, 67, 64],
    [520, 19, 5, undefined],
  ] as const) {
    const run = (which?: number) => {
      const [x, w, b] = [sample([rows, k]), sample([n, k], 2), sample([n], 3)].map((one) => one.requireGrad());
      const ids = tensor(Int32Array.from({ length: rows }, (_, i) => (i % 7 === 3 ? -100 : (i * 31) % n)));
      const loss = linearCrossEntropy(x, w, b, ids, { chunkRows, reduction: rows === 0 ? "sum" : "mean" });
      return which === undefined ? loss : grad([loss], [[x, w, b][which]])[0];
    };
    expectNativeEqualsReference(() => run());
    for (const which of [0, 1, 2]) expectNativeEqualsReference(() => run(which), 1e-4);
  }
});

test.each([0, -1, 2.5, Number.NaN, Number.POSITIVE_INFINITY])("chunks of %s rows are refused", (chunkRows) => {
  const [x, w] = [sample([3, 4]), sample([5, 4], 2)];
  expect(() => linearCrossEntropy(x, w, undefined, targets(0, 1, 2), { chunkRows })).toThrow(
    expect.objectContaining({ code: "INVALID_OPTION", remedy: expect.any(String) }),
  );
});

test("the cross-entropy of a layer by chunks takes the memory of a chunk, and frees it", () => {
  const [rows, classes] = [1024, 500];
  const peak = (chunkRows: number) =>
    scope(() => {
      const [x, w] = [sample([rows, 8]), sample([classes, 8], 2)].map((one) => one.requireGrad());
      const ids = tensor(Int32Array.from({ length: rows }, (_, i) => i % classes));
      const before = memory.stats().liveBytes;
      memory.resetPeak();
      scope(() => backward(linearCrossEntropy(x, w, undefined, ids, { chunkRows })));
      const most = memory.stats().peakBytes - before;
      for (const one of [x, w]) one.grad?.dispose();
      expect(memory.stats().liveBytes).toBe(before);
      return most;
    });
  const whole = 4 * rows * classes;
  expect(peak(rows)).toBeGreaterThan(2 * whole);
  expect(peak(64)).toBeLessThan(whole / 4);
});

test("packed weights give the same result, and are not used once the weight was written", () => {
  for (const backendOf of [createReferenceBackend, () => createNativeBackend() ?? createReferenceBackend()]) {
    withBackend(backendOf(), () => {
      const [x, w, b] = [sample([70, 131]), sample([97, 131], 2), sample([97], 3)];
      const run = () => linear(x, w, b, { activation: "gelu" }).toTypedArray();
      const plain = run();
      const release = packWeights([w, b]);
      expectClose(run(), plain, 1e-5);
      mulInPlace(w, tensor([2]));
      const written = run();
      release();
      expect(run()).toEqual(written);
      expect(Array.from(written)).not.toEqual(Array.from(plain));
    });
  }
});

test("results do not depend on the number of threads", () => {
  const native = createNativeBackend();
  if (native === undefined) throw new Error("The native module is not built: run npm run build:native");
  withBackend(native, () => {
    const before = native.threads();
    const run = () =>
      scope(() => {
        const x = sample([97, 96]).requireGrad();
        const w = sample([192, 96], 2).requireGrad();
        const y = selfAttention(linear(x, w), offsets(50, 97), { heads: 4, dropout: 0.1, seed: 3 });
        return [y, ...grad([sum(mul(y, sample(y.shape, 4)))], [x, w])].map((t) => t.toTypedArray());
      });
    native.setThreads(1);
    const one = run();
    native.setThreads(2);
    expect(run()).toEqual(one);
    native.setThreads(before);
  });
});

test("dropout keeps about its share, the same for the same seed, another for another", () => {
  const x = sample([100, 100]);
  const kept = (seed: number) => Array.from(dropout(x, 0.25, seed).toTypedArray(), (value) => Number(value !== 0));
  const share = kept(1).reduce((a, b) => a + b, 0) / 10000;
  expect(Math.abs(share - 0.75)).toBeLessThan(0.02);
  expect(kept(1)).toEqual(kept(1));
  expect(kept(1)).not.toEqual(kept(2));
});

test("shape errors say what was expected", () => {
  const x = sample([4, 6]);
  expect(() => linear(x, sample([3, 5]))).toThrow(/linear.*expected x \[\.\.\., 5\].*\[4, 6\]/);
  expect(() => layerNorm(x, sample([5]), undefined)).toThrow(/layerNorm.*\[6\]/);
  expect(() => crossEntropy(x, targets(1, 2, 3, 6))).toThrow(/0 to 5/);
  expect(() => selfAttention(x, offsets(3), { heads: 2 })).toThrow(/offsets/);
  expect(() => attention(x, x, x, offsets(4))).toThrow(/tokens, heads, headSize/);
  expect(() => selfAttention(x, offsets(4), { heads: 2, hidden: zeros([3], "int32") })).toThrow(/int32 hidden \[4\]/);
  expect(() => dropout(x, 1, 1)).toThrow(/rate/);
});
