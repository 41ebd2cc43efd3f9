// Mixers by themselves, in double precision on the reference backend: gradients against finite differences, and a packed
// batch against its sequences one at a time.
import {
  backward,
  createRandom,
  createReferenceBackend,
  linear,
  mul,
  parameter,
  type Shape,
  scope,
  sum,
  type Tensor,
  tensor,
  withBackend,
} from "@cloze/tensor";
import { describe, expect, test } from "vitest";
import { packSequences } from "../../data/packed-batch.js";
import { parseEncoderConfig } from "../config.js";
import { cutParts } from "../output-parts.js";
import type { SlotAccess } from "../part.js";
import { bindMixer, type MixerConfigInput, mixerSchema } from "./index.js";

type Values = Record<string, number[]>;

const hiddenSize = 6;
const mixers: Record<string, MixerConfigInput> = {
  fourier: { type: "fourier" },
  "rotary attention in a window": { type: "attention", heads: 1, window: 2, rotary: { theta: 50 } },
  "rotary attention, interleaved, values too": {
    type: "attention",
    heads: 1,
    rotary: { interleaved: true, values: true },
  },
  "relative bias with reset": { type: "relative-bias-attention", heads: 2, buckets: 6, maxDistance: 5, reset: true },
  "relative bias": { type: "relative-bias-attention", heads: 2, buckets: 6, maxDistance: 5, rows: 7 },
  "disentangled attention with matrices for distances": { type: "disentangled-attention", heads: 2, maxDistance: 4 },
  "disentangled attention with shared matrices and buckets": {
    type: "disentangled-attention",
    heads: 3,
    maxDistance: 8,
    buckets: 4,
    shareMatrices: true,
    normalizeDistances: true,
  },
  "disentangled attention of contents with positions, keys without bias": {
    type: "disentangled-attention",
    heads: 2,
    maxDistance: 20,
    positionToContent: false,
    positionKeyBias: false,
    bias: "query-value",
  },
  "recurrent, LSTM": { type: "recurrent", cell: "lstm" },
  "recurrent, GRU one way, projected": { type: "recurrent", cell: "gru", bidirectional: false, units: 4 },
  "convolution-attention": { type: "convolution-attention", heads: 1, kernelSize: 3 },
  "convolution-attention, wide": { type: "convolution-attention", heads: 2, headSize: 2, kernelSize: 11 },
  "nystrom, five landmarks": { type: "nystrom", heads: 2, landmarks: 5, kernelSize: 3 },
  "nystrom, three landmarks": { type: "nystrom", heads: 3, landmarks: 3, kernelSize: 21, iterations: 3 },
  "nystrom, exact": { type: "nystrom", heads: 2, landmarks: null, kernelSize: null },
  convolution: { type: "convolution", kernels: [2, 3], activation: "tanh" },
};

function subject(config: MixerConfigInput) {
  const encoder = parseEncoderConfig({ vocabularySize: 9, hiddenSize, layers: [] });
  const bound = bindMixer(mixerSchema.parse(config), hiddenSize, encoder);
  const shapes = new Map<string, Shape>();
  for (const { name, outputs, inputs, bias } of bound.matrices) {
    shapes.set(`${name}.weight`, [outputs, inputs]);
    if (bias) shapes.set(`${name}.bias`, [outputs]);
  }
  for (const { name, shape } of [...(bound.vectors ?? []), ...(bound.shared ?? [])]) shapes.set(name, shape);
  const random = createRandom(3);
  const draw = (count: number): number[] => Array.from({ length: count }, () => 1.4 * random.uniform() - 0.7);
  const values: Values = {};
  for (const [name, shape] of shapes) values[name] = draw(shape.reduce((a, b) => a * b, 1));

  /** The output for rows of x; with weights for its numbers also their sum and its gradients. */
  function run(lengths: readonly number[], given: Values, weights?: number[]) {
    return withBackend(createReferenceBackend(), () =>
      scope(() => {
        const batch = packSequences(lengths.map((length) => ({ ids: new Array(length).fill(1) })));
        const tensors = new Map<string, Tensor>();
        for (const [name, numbers] of Object.entries(given)) {
          const shape = shapes.get(name) ?? [numbers.length / hiddenSize, hiddenSize];
          tensors.set(name, parameter(tensor(numbers, [...shape], "float64")));
        }
        const named = (name: string): Tensor => tensors.get(name) as Tensor;
        const multiply: SlotAccess["linear"] = (name, x, options) =>
          linear(x, named(`${name}.weight`), tensors.get(`${name}.bias`), { activation: options?.activation });
        const y = bound.forward(
          named("x"),
          {
            linear: multiply,
            linearParts: (name, x, parts) => cutParts(multiply(name, x), parts),
            parameter: named,
            shared: named,
          },
          {
            batch,
            offsets: tensor(batch.offsets),
            training: false,
            seed: () => 0,
            once: (_, make) => make(),
          },
        );
        const output = Array.from(y.toTypedArray());
        if (weights === undefined) return { output, total: 0, gradients: {} };
        const total = sum(mul(y, tensor(weights, y.shape, "float64")));
        backward(total);
        const gradients: Values = {};
        for (const [name, { grad }] of tensors) gradients[name] = Array.from(grad?.toTypedArray() ?? []);
        for (const value of tensors.values()) value.grad?.dispose();
        return { output, total: total.item(), gradients };
      }),
    );
  }
  return { values, draw, run };
}

describe.each(Object.entries(mixers))("%s", (_, config) => {
  const lengths = [5, 1, 8];
  const tokens = lengths.reduce((a, b) => a + b, 0);

  test("gradients are those of finite differences", () => {
    const { values, draw, run } = subject(config);
    const given: Values = { ...values, x: draw(tokens * hiddenSize) };
    const weights = draw(tokens * hiddenSize);
    const { gradients } = run(lengths, given, weights);
    const step = 1e-5;
    for (const [name, numbers] of Object.entries(given)) {
      expect(gradients[name], name).toHaveLength(numbers.length);
      // A few places of each.
      for (let place = 0; place < numbers.length; place += 1 + Math.floor(numbers.length / 9)) {
        const [above, below] = [step, -step].map((change) => {
          const changed = { ...given, [name]: numbers.map((value, i) => (i === place ? value + change : value)) };
          return run(lengths, changed, weights).total;
        });
        expect(gradients[name][place], `${name} at ${place}`).toBeCloseTo((above - below) / (2 * step), 6);
      }
    }
  });

  test("a packed batch equals its sequences one at a time, and the empty one", () => {
    const { values, draw, run } = subject(config);
    const x = draw(tokens * hiddenSize);
    const packed = run([0, ...lengths], { ...values, x }).output;
    let start = 0;
    for (const length of lengths) {
      const range = [start * hiddenSize, (start + length) * hiddenSize] as const;
      const { output } = run([length], { ...values, x: x.slice(...range) });
      output.forEach((value, i) => {
        expect(packed[range[0] + i]).toBeCloseTo(value, 10);
      });
      start += length;
    }
    expect(run([0], { ...values, x: [] }).output).toEqual([]);
  });
});

test("fourier: the definition, with sines and cosines", () => {
  const { draw, run } = subject({ type: "fourier" });
  const length = 7;
  const x = draw(length * hiddenSize);
  const expected = Array.from({ length: length * hiddenSize }, (_, at) => {
    const [m, k] = [Math.floor(at / hiddenSize), at % hiddenSize];
    return x.reduce((total, value, from) => {
      const [n, j] = [Math.floor(from / hiddenSize), from % hiddenSize];
      return total + value * Math.cos(2 * Math.PI * ((m * n) / length + (k * j) / hiddenSize));
    }, 0);
  });
  run([length], { x }).output.forEach((value, i) => {
    expect(value).toBeCloseTo(expected[i], 10);
  });
});
