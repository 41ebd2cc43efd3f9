import { backward, createAdamW, memory, mul, noGrad, scope, sum, type Tensor, zeros } from "@cloze/tensor";
import { expect, test } from "vitest";
import { type PackedBatch, packSequences } from "../data/packed-batch.js";
import { type EncoderConfigInput, parseEncoderConfig, uniformEncoder } from "./config.js";
import { createEncoder, encoderSpecs } from "./encoder.js";
import { deriveSeed } from "./seeds.js";

const small: EncoderConfigInput = {
  ...uniformEncoder({
    vocabularySize: 30,
    hiddenSize: 16,
    layers: 2,
    heads: 4,
    maxPositions: 12,
    initializerRange: 0.3,
  }),
};
const sequences = [
  { ids: [1, 2, 3, 4, 5, 6, 7], segments: [0, 0, 0, 1, 1, 1, 1] },
  { ids: [8] },
  { ids: [9, 10, 11, 12] },
];
const batch = packSequences(sequences);
const variants: Record<string, EncoderConfigInput> = {
  "post-norm": small,
  "pre-norm": { ...small, normPosition: "pre" },
  "pre-norm without a final norm": { ...small, normPosition: "pre", finalNorm: false },
  "no positions, no segments": { ...small, embeddings: { positions: "none", norm: false }, segmentVocabularySize: 0 },
  "unequal widths": {
    ...small,
    layers: [
      { mixer: { type: "attention", heads: 3, headSize: 5 }, channel: { type: "mlp", intermediateSize: 7 } },
      {
        mixer: { type: "attention", heads: 1, bias: false },
        channel: { type: "mlp", intermediateSize: 40, activation: "relu" },
      },
    ],
  },
  "causal with a window": {
    ...small,
    layers: [
      {
        mixer: { type: "attention", heads: 2, causal: true, window: 2 },
        channel: { type: "mlp", intermediateSize: 8 },
      },
    ],
  },
  "a bag of embeddings": { ...small, layers: [] },
};

function values(config: EncoderConfigInput, input: PackedBatch, options = {}): Float32Array {
  const encoder = createEncoder(config, { seed: 5 });
  const result = scope(() => noGrad(() => encoder.forward(input, options).hidden.toTypedArray() as Float32Array));
  encoder.dispose();
  return result;
}
const largestDifference = (a: Float32Array, b: Float32Array): number =>
  a.reduce((largest, value, i) => Math.max(largest, Math.abs(value - b[i])), 0);

for (const [name, config] of Object.entries(variants)) {
  test(`${name}: a packed batch equals its sequences one at a time`, () => {
    const packed = values(config, batch);
    const single = sequences.flatMap((sequence) => Array.from(values(config, packSequences([sequence]))));
    expect(packed).toHaveLength(12 * 16);
    expect(largestDifference(packed, Float32Array.from(single))).toBeLessThan(2e-5);
  });

  test(`${name}: gradients reach every parameter`, () => {
    const encoder = createEncoder(config, { seed: 5 });
    scope(() => {
      const { hidden } = encoder.forward(batch, { training: true, seed: 3 });
      backward(sum(mul(hidden, hidden)));
    });
    for (const [key, value] of encoder.parameters) expect(value.grad?.shape, key).toEqual(value.shape);
    encoder.dispose();
  });
}

test("dropout is off at evaluation, on in training, and a function of the seed", () => {
  const plain = values(small, batch);
  expect(values(small, batch, { seed: 9 })).toEqual(plain);
  const trained = values(small, batch, { training: true, seed: 1 });
  expect(largestDifference(trained, plain)).toBeGreaterThan(0.01);
  expect(values(small, batch, { training: true, seed: 1 })).toEqual(trained);
  expect(largestDifference(values(small, batch, { training: true, seed: 2 }), trained)).toBeGreaterThan(0.01);
});

test("seeds of places differ", () => {
  const seeds = new Set<number>();
  for (let seed = -3; seed < 50; seed++)
    for (let layer = 0; layer < 6; layer++)
      for (const place of ["attention", "mixer", "channel"]) seeds.add(deriveSeed(seed, layer, place));
  expect(seeds.size).toBe(53 * 6 * 3);
});

test("parameters depend on the seed and their name alone", () => {
  const read = (config: EncoderConfigInput, seed: number, name: string) => {
    const encoder = createEncoder(config, { seed });
    const value = encoder.parameters.get(name)?.toTypedArray();
    encoder.dispose();
    return value;
  };
  const name = "layers.1.channel.input.weight";
  const first = read(small, 7, name) as Float32Array;
  expect(read(small, 7, name)).toEqual(first);
  expect(read({ ...small, normPosition: "pre" }, 7, name)).toEqual(first);
  expect(read(small, 8, name)).not.toEqual(first);
  const deviation = Math.sqrt(first.reduce((total, x) => total + x * x, 0) / first.length);
  expect(deviation).toBeGreaterThan(0.25);
  expect(deviation).toBeLessThan(0.35);
});

test("branches that start at zero pass the embeddings through", () => {
  const config: EncoderConfigInput = { ...small, normPosition: "pre", finalNorm: false, residualInit: "zero" };
  expect(values(config, batch)).toEqual(values({ ...config, layers: [] }, batch));
});

test("hidden states: the embeddings, then each layer; depth stops early", () => {
  const encoder = createEncoder(small, { seed: 5 });
  scope(() => {
    const { hidden, hiddenStates = [] } = encoder.forward(batch, { hiddenStates: true });
    expect(hiddenStates).toHaveLength(3);
    expect(hiddenStates[2]).toBe(hidden);
    for (const [depth, state] of hiddenStates.entries())
      expect(encoder.forward(batch, { depth }).hidden.toTypedArray()).toEqual(state.toTypedArray());
    expect(() => encoder.forward(batch, { depth: 3 })).toThrow(expect.objectContaining({ code: "DEPTH_OUT_OF_RANGE" }));
  });
  encoder.dispose();
});

test("tokens that are not seen change nothing for the others", () => {
  const padded = packSequences(sequences.map(({ ids }) => ({ ids: [...ids, 0, 0] })));
  const visible = Int32Array.from(sequences, ({ ids }) => ids.length);
  const plain = packSequences(sequences.map(({ ids }) => ({ ids })));
  for (const config of [small, variants["causal with a window"]]) {
    const expected = values(config, plain);
    const received = values(config, { ...padded, visible } as PackedBatch);
    let row = 0;
    sequences.forEach(({ ids }, s) => {
      const start = padded.offsets[s] * 16;
      const part = received.slice(start, start + ids.length * 16);
      expect(largestDifference(part, expected.slice(row * 16, (row + ids.length) * 16))).toBeLessThan(2e-5);
      row += ids.length;
    });
    const wrong = { ...padded, visible: Int32Array.of(0, 1, 2) };
    expect(() => values(config, wrong)).toThrow(expect.objectContaining({ code: "BATCH_SHAPE" }));
  }
});

test("a batch that does not fit the model is refused, by code", () => {
  const refused = (input: PackedBatch, code: string) =>
    expect(() => values(small, input)).toThrow(expect.objectContaining({ code }));
  refused(packSequences([{ ids: [30] }]), "TOKEN_OUT_OF_RANGE");
  refused(packSequences([{ ids: [-1] }]), "TOKEN_OUT_OF_RANGE");
  refused(packSequences([{ ids: new Array(13).fill(1) }]), "SEQUENCE_TOO_LONG");
  refused(packSequences([{ ids: [1], segments: [2] }]), "SEGMENT_OUT_OF_RANGE");
  refused({ ...batch, segments: new Int32Array(3) }, "BATCH_SHAPE");
  expect(values(small, packSequences([]))).toHaveLength(0);
  expect(values(small, packSequences([{ ids: [] }, { ids: [3] }]))).toHaveLength(16);
});

test("a wrong configuration names its field", () => {
  const refused = (change: object, part: string) =>
    expect(() => parseEncoderConfig({ ...small, ...change })).toThrow(
      expect.objectContaining({ code: "CONFIG_INVALID", message: expect.stringContaining(part) }),
    );
  refused({ hiddenSize: 0 }, "hiddenSize");
  refused({ embeddings: { dropout: 1 } }, "embeddings.dropout");
  refused({ surprise: 1 }, "surprise");
  const layer = parseEncoderConfig(small).layers[0];
  refused({ layers: [{ ...layer, mixer: { type: "telepathy" } }] }, "layers.0.mixer.type");
  refused({ layers: [{ ...layer, mixer: { type: "attention" } }] }, "layers.0.mixer.heads");
  const fiveBits = { ...layer.channel, weights: { input: { type: "quantized", bits: 5 } } };
  refused({ layers: [{ ...layer, channel: fiveBits }] }, "weights.input.bits is wrong: expected 2 or expected 3");
  refused(
    { layers: [layer, { ...layer, channel: { type: "mlp", intermediateSize: 4, activation: "x" } }] },
    "layers.1.channel.activation",
  );
  const uneven = { ...small, layers: [{ ...layer, mixer: { type: "attention" as const, heads: 5 } }] };
  expect(() => createEncoder(uneven, { seed: 1 })).toThrow(expect.objectContaining({ code: "CONFIG_INVALID" }));
});

test("a configuration survives JSON, and loading checks shapes", () => {
  const config = parseEncoderConfig(variants["unequal widths"]);
  expect(parseEncoderConfig(JSON.parse(JSON.stringify(config)))).toEqual(config);
  const made = createEncoder(config, { seed: 5 });
  expect([...made.parameters.keys()]).toEqual(encoderSpecs(config).map(({ name }) => name));
  const copy = createEncoder(config, { load: (name) => (made.parameters.get(name) as Tensor).view() });
  scope(() => expect(copy.forward(batch).hidden.toTypedArray()).toEqual(made.forward(batch).hidden.toTypedArray()));
  expect(() =>
    createEncoder({ ...config, vocabularySize: 31 }, { load: (name) => (made.parameters.get(name) as Tensor).view() }),
  ).toThrow(expect.objectContaining({ code: "WEIGHT_SHAPE" }));
  made.dispose();
  copy.dispose();
});

test("nothing leaks: forward in a scope, training steps, and an encoder that failed to load", () => {
  const before = memory.stats();
  const encoder = createEncoder({ ...small, embeddings: { sparse: true } }, { seed: 1 });
  const weights = memory.stats();
  scope(() => {
    noGrad(() => encoder.forward(batch, { hiddenStates: true }));
    encoder.forward(batch, { training: true });
  });
  expect(memory.stats().liveBytes).toBe(weights.liveBytes);
  expect(memory.stats().allocations).toBe(weights.allocations);
  const hidden = noGrad(() => encoder.forward(batch).hidden);
  expect(memory.stats().allocations).toBe(weights.allocations + 1);
  hidden.dispose();
  const optimizer = createAdamW([{ name: "all", parameters: encoder.parameters, learningRate: 1e-3 }]);
  const step = (seed: number) => {
    scope(() => {
      const output = encoder.forward(batch, { training: true, seed }).hidden;
      backward(sum(mul(output, output)));
    });
    optimizer.step();
    optimizer.zeroGrad();
  };
  step(0);
  const trained = memory.stats().liveBytes;
  for (let i = 1; i < 30; i++) step(i);
  expect(memory.stats().liveBytes).toBe(trained);
  optimizer.dispose();
  encoder.dispose();
  let given = 0;
  const config = parseEncoderConfig(small);
  const load = (name: string): Tensor => {
    if (++given > 5) throw new Error(`${name} is not there`);
    return zeros(encoderSpecs(config).find((spec) => spec.name === name)?.shape ?? []);
  };
  expect(() => createEncoder(config, { load })).toThrow("is not there");
  expect(memory.stats()).toMatchObject({ liveBytes: before.liveBytes, allocations: before.allocations });
});

test("layers that run again: the same gradients, and about one layer's memory", () => {
  const config: EncoderConfigInput = {
    ...uniformEncoder({ vocabularySize: 30, hiddenSize: 16, layers: 6, heads: 4, maxPositions: 12 }),
  };
  const long = packSequences(
    Array.from({ length: 30 }, (_, i) => ({ ids: Array.from({ length: 12 }, (_, j) => (i + j) % 30) })),
  );
  const run = (recompute: boolean) => {
    const encoder = createEncoder(config, { seed: 5 });
    const before = memory.stats().byKind.saved;
    const saved = scope(() => {
      const { hidden } = encoder.forward(long, { training: true, seed: 3, recompute });
      const bytes = memory.stats().byKind.saved - before;
      memory.resetPeak();
      const start = memory.stats().liveBytes;
      backward(sum(mul(hidden, hidden)));
      return { bytes, backward: memory.stats().peakBytes - start };
    });
    const gradients = [...encoder.parameters].map(([name, value]) => [name, value.grad?.toTypedArray()]);
    encoder.dispose();
    expect(memory.stats().byKind.saved).toBe(before);
    return { saved, gradients };
  };
  const usual = run(false);
  const again = run(true);
  expect(again.gradients).toEqual(usual.gradients);
  expect(again.saved.bytes).toBeLessThan(usual.saved.bytes / 4);
  // In the backward pass, what one layer saves comes on top.
  expect(again.saved.bytes + again.saved.backward).toBeLessThan((usual.saved.bytes + usual.saved.backward) / 2);
});
