// The mixers that attend block by block, against the same attention with whole matrices, in double precision.
import {
  add,
  backward,
  createRandom,
  createReferenceBackend,
  linear,
  memory,
  mul,
  noGrad,
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
import type { EncoderBatch } from "../batch.js";
import { parseEncoderConfig, uniformEncoder } from "../config.js";
import { createEncoder } from "../encoder.js";
import { cutParts } from "../output-parts.js";
import { attendBlocks, planBlocks } from "./block-attention.js";
import { type AttendedSequence, attendComposed, splitColumns } from "./composed-attention.js";
import { bindMixer, type MixerConfigInput, mixerSchema } from "./index.js";
import { randomBlocks } from "./random-blocks.js";

const hiddenSize = 6;
const heads = 2;
type Named = (name: string) => Tensor;
/** The same attention from whole matrices, up to the output matrix. */
type Twin = (x: Tensor, batch: EncoderBatch, named: Named, training: boolean) => Tensor;

const project = (x: Tensor, name: string, named: Named): Tensor =>
  linear(x, named(`${name}.weight`), named(`${name}.bias`));

function subject(config: MixerConfigInput) {
  const encoder = parseEncoderConfig({ vocabularySize: 9, hiddenSize, maxPositions: 64, layers: [] });
  const bound = bindMixer(mixerSchema.parse(config), hiddenSize, encoder);
  const shapes = new Map<string, Shape>([["x", []]]);
  for (const { name, outputs, inputs } of bound.matrices) {
    shapes.set(`${name}.weight`, [outputs, inputs]).set(`${name}.bias`, [outputs]);
  }
  const random = createRandom(3);
  const draw = (count: number): number[] => Array.from({ length: count }, () => 2 * random.uniform() - 1);
  const values: Record<string, number[]> = {};
  for (const [name, shape] of shapes) values[name] = draw(shape.reduce((a, b) => a * b, 1));

  /** Output, and the gradients of a weighted sum of its numbers. */
  function run(batch: EncoderBatch, x: number[], weights: number[], options: { training?: boolean; twin?: Twin } = {}) {
    const { training = false, twin } = options;
    return withBackend(createReferenceBackend(), () =>
      scope(() => {
        const tensors = new Map<string, Tensor>();
        for (const [name, numbers] of Object.entries({ ...values, x })) {
          const shape = name === "x" ? [batch.ids.length, hiddenSize] : (shapes.get(name) ?? []);
          tensors.set(name, parameter(tensor(numbers, [...shape], "float64")));
        }
        const named: Named = (name) => tensors.get(name) as Tensor;
        const y =
          twin === undefined
            ? bound.forward(
                named("x"),
                {
                  linear: (name, input) => project(input, name, named),
                  linearParts: (name, input, parts) => cutParts(project(input, name, named), parts),
                  parameter: named,
                  shared: named,
                },
                { batch, offsets: tensor(batch.offsets), training, seed: () => 0, once: (_, make) => make() },
              )
            : project(twin(named("x"), batch, named, training), "output", named);
        const total = sum(mul(y, tensor(weights, y.shape, "float64")));
        backward(total);
        const gradients: Record<string, number[]> = {};
        for (const [name, { grad }] of tensors) {
          gradients[name] = Array.from(grad?.toTypedArray() ?? []);
          grad?.dispose();
        }
        return { output: Array.from(y.toTypedArray()), total: total.item(), gradients };
      }),
    );
  }
  return { draw, run };
}

/** 1 at places of the batch, as a column. */
const column = (values: ArrayLike<number>): Tensor =>
  tensor(Float64Array.from(Array.from(values)), [values.length, 1], "float64");

/** 1 for tokens that can be looked at. */
const seenTokens = ({ offsets, visible }: EncoderBatch): number[] =>
  Array.from({ length: offsets.length - 1 }, (_, s) =>
    Array.from({ length: offsets[s + 1] - offsets[s] }, (_, i) =>
      Number(i < (visible?.[s] ?? Number.POSITIVE_INFINITY)),
    ),
  ).flat();

const longformerTwin =
  (window: number): Twin =>
  (x, batch, named) => {
    const seen = seenTokens(batch);
    const isGlobal = seen.map((is, i) => is * (batch.globalTokens?.[i] ?? 0));
    const [q, k, v] = splitColumns(project(x, "queryKeyValue", named), 3);
    const mask = (i: number, j: number, { start }: AttendedSequence) =>
      Math.abs(i - j) > window && isGlobal[start + j] === 0;
    const local = attendComposed(q, k, v, batch, { heads, mask });
    const [globalKeys, globalValues] = splitColumns(project(x, "globalKeyValue", named), 2);
    const global = attendComposed(project(x, "globalQuery", named), globalKeys, globalValues, batch, { heads });
    const localShare = column(seen.map((is, i) => is - isGlobal[i]));
    return add(mul(local, localShare), mul(global, column(isGlobal)));
  };

const sparse = { blockSize: 2, randomBlocks: 1, seed: 4 };

/** How often a query looks at a key. */
function countOf(i: number, j: number, blocks: number, chosen: number[][]): number {
  const [from, to] = [i, j].map((place) => Math.floor(place / sparse.blockSize));
  if (from === 0 || from === blocks - 1) return 1;
  const fixed = to === 0 || to === blocks - 1 || Math.abs(from - to) <= 1;
  return Number(fixed) + chosen[from - 1].filter((block) => block === to).length;
}

const sparseTwin: Twin = (x, batch, named, training) => {
  const [q, k, v] = splitColumns(project(x, "queryKeyValue", named), 3);
  const isSparse = ({ length }: AttendedSequence): boolean => Math.max(length, batch.paddedLength ?? 0) > 14;
  const mixed = attendComposed(q, k, v, batch, {
    heads,
    adjust(scores, sequence) {
      if (!isSparse(sequence)) return scores;
      const { length, seen } = sequence;
      const blocks = Math.ceil(Math.max(length, batch.paddedLength ?? 0) / sparse.blockSize);
      const drawn = randomBlocks({ blocks, blockSize: 2, count: 1, heads, seed: sparse.seed, maxPositions: 64 });
      const added = Array.from({ length: heads }, (_, h) =>
        Array.from({ length: length * seen }, (_, at) => {
          const chosen = training ? drawn[h] : drawn[h].map(() => [0]);
          const count = countOf(Math.floor(at / seen), at % seen, blocks, chosen);
          return count === 0 ? -1e30 : Math.log(count);
        }),
      );
      return add(scores, tensor(Float64Array.from(added.flat()), [heads, length, seen], "float64"));
    },
  });
  const { offsets } = batch;
  const isFull = seenTokens(batch).map((is, row) => {
    const s = offsets.findLastIndex((start) => start <= row);
    return Math.max(offsets[s + 1] - offsets[s], batch.paddedLength ?? 0) > 14 ? is : 1;
  });
  return mul(mixed, column(isFull));
};

const batchOf = (lengths: number[], extra: Partial<EncoderBatch> = {}): EncoderBatch => ({
  ...packSequences(lengths.map((length) => ({ ids: new Array(length).fill(1) }))),
  ...extra,
});
const someGlobal = (tokens: number): Uint8Array =>
  Uint8Array.from({ length: tokens }, (_, i) => Number([0, 3, 30, 41].includes(i)));

const longformer: MixerConfigInput = { type: "longformer", heads, window: 3 };
const blockSparse: MixerConfigInput = { type: "block-sparse-attention", heads, ...sparse };
const cases: [string, MixerConfigInput, Twin, EncoderBatch, boolean][] = [
  ["windows alone", longformer, longformerTwin(3), batchOf([21, 1, 0, 8]), false],
  [
    "windows and global tokens",
    longformer,
    longformerTwin(3),
    batchOf([37, 1, 0, 8], { globalTokens: someGlobal(46) }),
    false,
  ],
  [
    "windows that are the sequences",
    { ...longformer, window: 9 },
    longformerTwin(9),
    batchOf([9, 4], { globalTokens: someGlobal(13) }),
    false,
  ],
  [
    "windows, with tokens that are not seen",
    longformer,
    longformerTwin(3),
    batchOf([37, 9], { globalTokens: someGlobal(46), visible: Int32Array.of(30, 9) }),
    false,
  ],
  ["blocks", blockSparse, sparseTwin, batchOf([25, 3, 0, 32]), false],
  ["random blocks", { ...blockSparse, dropout: 0 }, sparseTwin, batchOf([25, 3, 32]), true],
  ["blocks, all sequences short", blockSparse, sparseTwin, batchOf([14, 3]), false],
  ["blocks counted from a padded length", blockSparse, sparseTwin, batchOf([25, 3, 32], { paddedLength: 34 }), false],
  [
    "blocks, with tokens that are not seen",
    blockSparse,
    sparseTwin,
    batchOf([25, 25], { visible: Int32Array.of(19, 25) }),
    false,
  ],
  [
    "short ones, with tokens that are not seen",
    blockSparse,
    sparseTwin,
    batchOf([9, 9], { visible: Int32Array.of(4, 9) }),
    false,
  ],
];

describe.each(cases)("%s", (_, config, twin, batch, training) => {
  const size = batch.ids.length * hiddenSize;

  test("outputs and gradients are those of whole matrices", () => {
    const { draw, run } = subject(config);
    const [x, weights] = [draw(size), draw(size)];
    const received = run(batch, x, weights, { training });
    const expected = run(batch, x, weights, { training, twin });
    const close = (a: number[], b: number[], name: string): void => {
      expect(a.length, name).toBe(b.length);
      // What is added to scores is stored in single precision.
      expect(Math.max(...a.map((value, i) => Math.abs(value - b[i]))), name).toBeLessThan(1e-7);
    };
    close(received.output, expected.output, "output");
    for (const name of Object.keys(expected.gradients)) {
      // What no token needed has no gradient, or zeros.
      const numbers = received.gradients[name];
      close(numbers.length === 0 ? expected.gradients[name].map(() => 0) : numbers, expected.gradients[name], name);
    }
  });

  test("gradients are those of finite differences", () => {
    const { draw, run } = subject(config);
    const [x, weights] = [draw(size), draw(size)];
    const { gradients } = run(batch, x, weights, { training });
    for (let place = 0; place < size; place += 41) {
      const [above, below] = [1e-5, -1e-5].map(
        (change) =>
          run(
            batch,
            x.map((value, i) => (i === place ? value + change : value)),
            weights,
            { training },
          ).total,
      );
      expect(gradients.x[place]).toBeCloseTo((above - below) / 2e-5, 6);
    }
  });
});

const encoderWith = (mixer: MixerConfigInput, maxPositions: number) => {
  const config = uniformEncoder({ vocabularySize: 20, hiddenSize: 16, layers: 1, heads: 2, maxPositions, dropout: 0 });
  return createEncoder({ ...config, layers: config.layers.map((layer) => ({ ...layer, mixer })) }, { seed: 5 });
};

describe.each<[string, MixerConfigInput]>([
  ["longformer", { type: "longformer", heads: 2, window: 8 }],
  ["block-sparse-attention", { type: "block-sparse-attention", heads: 2, blockSize: 8, randomBlocks: 2 }],
])("%s", (_, mixer) => {
  const forward = (length: number, options = {}) => {
    const encoder = encoderWith(mixer, length);
    const ids = Array.from({ length }, (_, i) => (i * 7) % 20);
    const globalTokens = Uint8Array.from(ids, (_, i) => Number(i === 0));
    memory.resetPeak();
    const before = memory.stats().liveBytes;
    const values = scope(() => {
      const { hidden } = encoder.forward({ ...packSequences([{ ids }]), globalTokens }, options);
      backward(sum(mul(hidden, hidden)));
      return hidden.toTypedArray();
    });
    const bytes = memory.stats().peakBytes - before;
    encoder.dispose();
    return { values, bytes };
  };

  test("memory grows with the length, not with its square", () => {
    const [short, long] = [1000, 4000].map((length) => forward(length).bytes);
    expect(long).toBeLessThan(4.4 * short);
    expect(long).toBeLessThan(4000 * 4000 * 4);
  });

  test("dropout is for training only, and a function of the seed", () => {
    const dropping = { ...mixer, dropout: 0.5 } as MixerConfigInput;
    const plain = forward(30).values;
    const values = (options: object) => {
      const encoder = encoderWith(dropping, 30);
      const ids = Array.from({ length: 30 }, (_, i) => (i * 7) % 20);
      const globalTokens = Uint8Array.from(ids, (_, i) => Number(i === 0));
      const numbers = scope(() =>
        encoder.forward({ ...packSequences([{ ids }]), globalTokens }, options).hidden.toTypedArray(),
      );
      encoder.dispose();
      return numbers;
    };
    expect(values({ seed: 3 })).toEqual(plain);
    expect(values({ seed: 3, training: true })).toEqual(values({ seed: 3, training: true }));
    expect(values({ seed: 3, training: true })).not.toEqual(plain);
    expect(values({ seed: 4, training: true })).not.toEqual(values({ seed: 3, training: true }));
  });
});

test("a short sequence is attended in full", () => {
  const batch = packSequences([{ ids: [3, 1, 4, 1, 5, 9, 2, 6] }, { ids: [5, 3] }]);
  const [full, windows, blocks] = [
    { type: "attention" as const, heads: 2 },
    { type: "longformer" as const, heads: 2, window: 7 },
    { type: "block-sparse-attention" as const, heads: 2, blockSize: 2, randomBlocks: 0 },
  ].map((mixer) => {
    const encoder = encoderWith(mixer, 8);
    const values = scope(() => encoder.forward(batch).hidden.toTypedArray());
    encoder.dispose();
    return values;
  });
  expect(windows).toEqual(full);
  expect(blocks).toEqual(full);
});

test("without gradients many blocks run in parts, with the same result", () => {
  const random = createRandom(8);
  const [q, k, v] = [4000, 1000, 1000].map((rows) =>
    parameter(
      tensor(
        Float32Array.from({ length: rows * 4 }, () => random.uniform()),
        [rows, 4],
      ),
    ),
  );
  const keys = [Array.from({ length: 1000 }, (_, i) => i)];
  const blocks = Array.from({ length: 8 }, (_, b) => ({
    queries: Array.from({ length: 500 }, (_, i) => 500 * b + i),
    keys,
  }));
  scope(() => {
    const attend = () => attendBlocks(q, k, v, [planBlocks(blocks)], { heads: 2 });
    const whole = attend();
    expect(noGrad(attend).toTypedArray()).toEqual(whole.toTypedArray());
    expect(whole.requiresGrad).toBe(true);
  });
  for (const x of [q, k, v]) x.dispose();
});

test("random blocks outside of training, where that is asked for", () => {
  const batch = batchOf([32]);
  const { draw, run } = subject({ ...blockSparse, randomInEvaluation: true });
  const [x, weights] = [draw(32 * hiddenSize), draw(32 * hiddenSize)];
  const { output } = run(batch, x, weights);
  const random = run(batch, x, weights, { training: true, twin: sparseTwin }).output;
  expect(Math.max(...output.map((value, i) => Math.abs(value - random[i])))).toBeLessThan(1e-7);
  const first = run(batch, x, weights, { twin: sparseTwin }).output;
  expect(Math.max(...output.map((value, i) => Math.abs(value - first[i])))).toBeGreaterThan(1e-3);
});
