// Tokens read piece by piece from a cache are the tokens of whole sequences.
import { fileURLToPath } from "node:url";
import { memory, scope, type Tensor } from "@cloze/tensor";
import { afterAll, describe, expect, test } from "vitest";
import { packSequences } from "../data/packed-batch.js";
import { randomSource } from "../data/random-source.js";
import { loadModel } from "../families/index.js";
import { type EncoderConfigInput, uniformEncoder } from "./config.js";
import { withDirection } from "./direction.js";
import { createEncoder, type Encoder } from "./encoder.js";
import { createKeyValueCache } from "./key-value-cache.js";

const code = (wanted: string) => expect.objectContaining({ code: wanted });
const fixture = (name: string): Encoder =>
  loadModel(fileURLToPath(new URL(`../../test/fixtures/families/${name}`, import.meta.url))).encoder;
const vocabularySize = 50;
const base = uniformEncoder({
  vocabularySize,
  hiddenSize: 24,
  layers: 3,
  heads: 3,
  maxPositions: 96,
  initializerRange: 0.3,
});
const causal = (config: EncoderConfigInput): EncoderConfigInput => withDirection(config, "causal");
const layersWith = (change: (layer: EncoderConfigInput["layers"][number], index: number) => object) =>
  causal({ ...base, layers: base.layers.map((layer, i) => ({ ...layer, ...change(layer, i) }) as typeof layer) });
const mixerWith = (mixer: object) => layersWith((layer) => ({ mixer: { ...layer.mixer, ...mixer } }));
const made = (config: EncoderConfigInput): Encoder => createEncoder(config, { seed: 4 });
/** A ModernBERT, which looks one way: rotary positions, most layers through a window. */
function oneWayModernBert(): Encoder {
  const { config } = fixture("modernbert/ForMaskedLM");
  return made({ ...causal(config), initializerRange: 0.3 });
}

const encoders: Record<string, Encoder> = {
  "a causal BERT": made(causal(base)),
  "the GPT-2 fixture": fixture("gpt2/LMHeadModel"),
  "GPT-2 with scales by layer": fixture("gpt2-scales/LMHeadModel"),
  "rotary positions": made({ ...mixerWith({ rotary: {} }), embeddings: { positions: "none" } }),
  "rotary positions, interleaved, values too": made(mixerWith({ rotary: { interleaved: true, values: true } })),
  "a window": made(mixerWith({ window: 5 })),
  "a ModernBERT": oneWayModernBert(),
  "norms first": made({ ...causal(base), normPosition: "pre" }),
  "layers that share their parameters": made(layersWith((_, index) => (index > 0 ? { sharedWith: 0 } : {}))),
  "layers without mixers": made({
    ...base,
    layers: base.layers.map((layer, i) => ({
      ...layer,
      mixer: i === 1 ? { type: "none" } : causal(base).layers[i].mixer,
    })),
  }),
  "experts by token": made(
    layersWith((layer) => ({
      channel: { type: "experts", count: 3, route: "top-k", unit: "token", expert: layer.channel },
    })),
  ),
};
afterAll(() => {
  for (const encoder of Object.values(encoders)) encoder.dispose();
});

const textOf = (encoder: Encoder, length: number, seed: number): number[] => {
  const random = randomSource(seed);
  return Array.from({ length }, () => 1 + Math.floor(random() * (encoder.config.vocabularySize - 1)));
};
const hiddenOf = (encoder: Encoder, texts: readonly number[][]): Float32Array =>
  scope(() => {
    const { hidden } = encoder.forward(packSequences(texts.map((ids) => ({ ids }))));
    return hidden.toTypedArray().slice() as Float32Array;
  });
function expectClose(got: ArrayLike<number>, wanted: ArrayLike<number>): void {
  expect(got.length).toBe(wanted.length);
  const scale = Math.max(1, ...Array.from(wanted, Math.abs));
  const worst = Math.max(...Array.from(wanted, (value, i) => Math.abs(value - got[i])));
  expect(worst).toBeLessThanOrEqual(1e-5 * scale);
}

describe.each(Object.keys(encoders))("%s", (name) => {
  const encoder = encoders[name];
  const most = Math.min(40, encoder.config.maxPositions);

  test.each([
    ["one by one", 1, 1],
    ["a prompt, then one by one", 7, 1],
    ["in pieces", 5, 6],
    ["all at once", 40, 1],
  ])("%s", (_, first, then) => {
    const ids = textOf(encoder, most, 1);
    const cache = createKeyValueCache(encoder);
    const rows: number[] = [];
    for (let at = 0; at < most; ) {
      const next = Math.min(most, at + (at === 0 ? first : then));
      scope(() => {
        const { hidden } = encoder.forward(packSequences([{ ids: ids.slice(at, next) }]), { cache });
        expect(hidden.shape).toEqual([next - at, encoder.config.hiddenSize]);
        rows.push(...(hidden.toTypedArray() as Float32Array));
      });
      at = next;
      expect(cache.lengths).toEqual([at]);
    }
    cache.dispose();
    expectClose(rows, hiddenOf(encoder, [ids]));
  });

  test("several texts of different lengths, reordered on the way", () => {
    const half = Math.floor(most / 2);
    const texts = [half, 3, half - 2].map((length, i) => textOf(encoder, length, i + 2));
    const cache = createKeyValueCache(encoder, 3);
    const width = encoder.config.hiddenSize;
    const step = (pieces: readonly number[][]): Float32Array =>
      scope(() => {
        const { hidden } = encoder.forward(packSequences(pieces.map((ids) => ({ ids }))), { cache });
        return hidden.toTypedArray().slice() as Float32Array;
      });
    expectClose(step(texts), hiddenOf(encoder, texts));
    // The second goes on twice, the third once, the first is left; then nothing new for one of them.
    cache.reorder([1, 2, 1]);
    const ways = [[...texts[1]], [...texts[2]], [...texts[1]]];
    for (const pieces of [
      [[4], [5], [6]],
      [[7, 8], [], [9]],
      [[1], [2], [3, 4, 5]],
    ]) {
      const got = step(pieces);
      const wanted: number[] = [];
      pieces.forEach((ids, i) => {
        ways[i].push(...ids);
        wanted.push(...hiddenOf(encoder, [ways[i]]).slice((ways[i].length - ids.length) * width));
      });
      expectClose(got, wanted);
    }
    expect(cache.lengths).toEqual(ways.map(({ length }) => length));
    cache.dispose();
  });
});

test("memory: so much for a token, all of it freed", () => {
  const encoder = encoders["a causal BERT"];
  expect(encoder.cacheWidths).toEqual([48, 48, 48]);
  const before = memory.stats();
  const cache = createKeyValueCache(encoder);
  const read = (length: number): void => {
    scope(() => void encoder.forward(packSequences([{ ids: textOf(encoder, length, 1) }]), { cache }));
  };
  read(40);
  const bytesOf = (tokens: number): number => tokens * 3 * 48 * 4;
  expect(memory.stats().liveBytes - before.liveBytes).toBe(bytesOf(40));
  read(1);
  expect(memory.stats().liveBytes - before.liveBytes).toBe(bytesOf(80));
  // Another sequence is a copy; the same one again is not.
  cache.reorder([0, 0]);
  expect(memory.stats().liveBytes - before.liveBytes).toBe(bytesOf(160));
  cache.reorder([1]);
  expect(memory.stats().liveBytes - before.liveBytes).toBe(bytesOf(80));
  cache.dispose();
  cache.dispose();
  expect(memory.stats().allocations).toBe(before.allocations);
  expect(memory.stats().liveBytes).toBe(before.liveBytes);
});

test("a batch that fails changes nothing", () => {
  const encoder = encoders["a causal BERT"];
  const ids = textOf(encoder, 20, 1);
  const cache = createKeyValueCache(encoder);
  const step = (pieces: number[][]): Tensor =>
    encoder.forward(packSequences(pieces.map((piece) => ({ ids: piece }))), { cache }).hidden;
  scope(() => void step([ids.slice(0, 10)]));
  expect(() => step([[vocabularySize]])).toThrow(code("TOKEN_OUT_OF_RANGE"));
  expect(() => step([textOf(encoder, 87, 1)])).toThrow(code("SEQUENCE_TOO_LONG"));
  expect(() => step([[1], [2]])).toThrow(code("BATCH_SHAPE"));
  const one = packSequences([{ ids: [1] }]);
  expect(() => encoder.forward({ ...one, visible: Int32Array.of(1) }, { cache })).toThrow(code("BATCH_SHAPE"));
  for (const option of [{ training: true }, { depth: 1 }, { recompute: true }])
    expect(() => encoder.forward(one, { cache, ...option })).toThrow(code("INVALID_OPTION"));
  expect(() => cache.reorder([1])).toThrow(code("CACHE_SEQUENCE"));
  expect(() => cache.reorder([0.5])).toThrow(code("CACHE_SEQUENCE"));
  expect(cache.lengths).toEqual([10]);
  scope(() => {
    expectClose(step([ids.slice(10)]).toTypedArray(), hiddenOf(encoder, [ids]).slice(10 * encoder.config.hiddenSize));
  });
  cache.dispose();
});

test("who cannot go on says so", () => {
  const others: Record<string, EncoderConfigInput> = {
    "both ways": base,
    "a prefix": withDirection(base, "prefix"),
    Fourier: { ...base, layers: base.layers.map((layer) => ({ ...layer, mixer: { type: "fourier" } })) },
    recurrent: {
      ...base,
      layers: base.layers.map((layer) => ({
        ...layer,
        mixer: { type: "recurrent", cell: "lstm", bidirectional: false },
      })),
    },
    "experts by sequence": layersWith((layer) => ({
      channel: { type: "experts", count: 2, route: "switch", unit: "sequence", expert: layer.channel },
    })),
    "a branch beside": layersWith(() => ({ parallel: { type: "convolution" } })),
    "places without padding": { ...causal(base), embeddings: { positionOffset: 1, paddingPosition: true } },
  };
  for (const [name, config] of Object.entries(others)) {
    const encoder = made(config);
    expect(encoder.cacheWidths, name).toBeUndefined();
    expect(() => createKeyValueCache(encoder), name).toThrow(code("CONFIG_UNSUPPORTED"));
    encoder.dispose();
  }
});
