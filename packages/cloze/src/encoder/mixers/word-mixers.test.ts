// Recurrent, convolutional and n-gram mixers inside an encoder.
import { backward, conv1d, mul, noGrad, reshape, scope, sum, type Tensor, take, tensor } from "@cloze/tensor";
import { describe, expect, test } from "vitest";
import { type PackedBatch, packSequences } from "../../data/packed-batch.js";
import type { EncoderBatch } from "../batch.js";
import { type EncoderConfigInput, parseEncoderConfig } from "../config.js";
import { createEncoder } from "../encoder.js";
import { bagEncoder, convolutionalEncoder, recurrentEncoder } from "../presets.js";
import type { MixerConfigInput } from "./index.js";

const sizes = { vocabularySize: 30, hiddenSize: 12, initializerRange: 0.5 };
const withMixer = (mixer: MixerConfigInput): EncoderConfigInput => ({
  ...sizes,
  layers: [{ mixer, channel: { type: "mlp", intermediateSize: 8 } }],
});
const variants: Record<string, EncoderConfigInput> = {
  BiLSTM: recurrentEncoder({ ...sizes, layers: 2 }),
  GRU: recurrentEncoder({ ...sizes, cell: "gru", bidirectional: false }),
  "an LSTM of other width in a transformer's layer": withMixer({ type: "recurrent", cell: "lstm", units: 5 }),
  TextCNN: convolutionalEncoder({ ...sizes, kernels: [1, 2, 5], layers: 2 }),
  "convolutions of other width in a transformer's layer": withMixer({ type: "convolution", kernels: [3], channels: 5 }),
  "words and n-grams": bagEncoder({ ...sizes, ngrams: [2, 3], buckets: 50 }),
};
const sequences = [{ ids: [1, 2, 3, 4, 5, 6, 7] }, { ids: [8] }, { ids: [9, 10, 11, 12] }];
const batch = packSequences(sequences);

function values(config: EncoderConfigInput, input: EncoderBatch | PackedBatch, options = {}): Float32Array {
  const encoder = createEncoder(config, { seed: 5 });
  const result = scope(() => noGrad(() => encoder.forward(input, options).hidden.toTypedArray() as Float32Array));
  encoder.dispose();
  return result;
}
function expectNear(received: ArrayLike<number>, expected: ArrayLike<number>): void {
  expect(received).toHaveLength(expected.length);
  for (let i = 0; i < expected.length; i++) expect(received[i]).toBeCloseTo(expected[i], 4);
}

describe.each(Object.entries(variants))("%s", (_, config) => {
  test("a packed batch equals its sequences one at a time, empty ones between them", () => {
    const single = sequences.flatMap((sequence) => Array.from(values(config, packSequences([sequence]))));
    expectNear(values(config, batch), single);
    const gaps = { ...batch, offsets: Int32Array.of(0, 0, 7, 8, 8, 12, 12) };
    expectNear(values(config, gaps), single);
    expect(values(config, { ...packSequences([]), offsets: Int32Array.of(0, 0) })).toHaveLength(0);
  });

  test("gradients reach every parameter", () => {
    const encoder = createEncoder(config, { seed: 5 });
    scope(() => {
      const { hidden } = encoder.forward(batch, { training: true, seed: 3 });
      backward(sum(mul(hidden, hidden)));
    });
    for (const [key, { grad }] of encoder.parameters) {
      expect(grad?.toTypedArray().some((value: number) => value !== 0) ?? false, key).toBe(true);
    }
    encoder.dispose();
  });

  test("tokens that are not seen change nothing for the others", () => {
    const padded = packSequences(sequences.map(({ ids }) => ({ ids: [...ids, 0, 0] })));
    const visible = Int32Array.from(sequences, ({ ids }) => ids.length);
    const all = values(config, { ...padded, visible });
    const seen = sequences.flatMap(({ ids }, s) => {
      const start = padded.offsets[s] * 12;
      return Array.from(all.slice(start, start + ids.length * 12));
    });
    expectNear(seen, values(config, batch));
  });
});

test("convolutions are those of conv1d with zeros at the borders", () => {
  const config = convolutionalEncoder({ ...sizes, kernels: [2, 5] });
  const encoder = createEncoder(config, { seed: 5 });
  const named = (name: string) => encoder.parameters.get(name) as Tensor;
  scope(() => {
    const received = encoder.forward(batch).hidden.toArray() as number[][];
    const weight = named("layers.0.mixer.kernels.weight").toTypedArray();
    const bias = Array.from(named("layers.0.mixer.bias").toTypedArray());
    let row = 0;
    for (const { ids } of sequences) {
      const x = reshape(take(named("embeddings.word.weight"), tensor(Int32Array.from(ids))), [1, ids.length, 12]);
      let from = 0;
      const parts = [2, 5].map((taps, k) => {
        // [out, in, taps] from [taps, out, in]
        const kernel = new Float32Array(6 * 12 * taps);
        for (let tap = 0; tap < taps; tap++)
          for (let c = 0; c < 72; c++) kernel[c * taps + tap] = weight[from + tap * 72 + c];
        from += taps * 72;
        const y = conv1d(x, tensor(kernel, [6, 12, taps]), { padding: "same", channels: "last" });
        return (y.toArray() as number[][][])[0].map((line) => line.map((v, c) => Math.max(0, v + bias[6 * k + c])));
      });
      ids.forEach((_, i) => {
        expectNear(received[row++], [...parts[0][i], ...parts[1][i]]);
      });
    }
  });
  encoder.dispose();
});

test("the forget gate's bias starts at 1, both ways; others at 0", () => {
  const encoder = createEncoder(recurrentEncoder({ ...sizes, hiddenSize: 4 }), { seed: 1 });
  const bias = encoder.parameters.get("layers.0.mixer.recurrent.bias")?.toArray();
  encoder.dispose();
  expect(bias).toEqual([0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0]);
});

test("recurrent dropout is a function of the seed, off at evaluation, and the same at all steps", () => {
  const layer = { channel: { type: "none" }, residual: false, mixerNorm: false, dropout: 0 } as const;
  const config: EncoderConfigInput = {
    ...sizes,
    embeddings: { positions: "none", norm: false, dropout: 0 },
    layers: [{ ...layer, mixer: { type: "recurrent", cell: "gru", dropout: 0.5 } }],
  };
  const trained = (seed: number) => values(config, batch, { training: true, seed });
  expect(trained(1)).toEqual(trained(1));
  expect(trained(1)).not.toEqual(trained(2));
  expect(values(config, batch, { seed: 1 })).toEqual(values(config, batch));
});

test("a configuration that does not add up says so", () => {
  const bind = (mixer: MixerConfigInput) => () => createEncoder(withMixer(mixer), { seed: 1 });
  const invalid = expect.objectContaining({ code: "CONFIG_INVALID" });
  expect(bind({ type: "recurrent", cell: "gru", units: 5, projection: false })).toThrow(invalid);
  expect(bind({ type: "convolution", kernels: [1, 2, 3, 4, 5] })).toThrow(invalid);
  expect(() => parseEncoderConfig(withMixer({ type: "recurrent", cell: "rnn" } as never))).toThrow(invalid);
});
