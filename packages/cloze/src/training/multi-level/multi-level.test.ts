// Coalescing, de-coalescing, interpolation (arXiv 2404.07999): the identities of the operators, and the cycle.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { backward, scope, type Tensor } from "@cloze/tensor";
import { describe, expect, test } from "vitest";
import { memoryStore } from "../../data/memory-store.js";
import { packSequences } from "../../data/packed-batch.js";
import { type EncoderConfigInput, uniformEncoder } from "../../encoder/config.js";
import { encoderSpecs } from "../../encoder/encoder.js";
import { createModel, familyOf, type Model } from "../../families/index.js";
import { madeVocabulary } from "../../recipes/index.js";
import { interpolate, pretrainVCycle } from "./v-cycle.js";
import { checkLevels, coalesce, decoalesce, halfScheme } from "./width-and-depth.js";

const vocabulary = madeVocabulary(30);
const { vocabularySize } = vocabulary;
const encoder = (heads: number, layers: number, more: Omit<Partial<EncoderConfigInput>, "layers"> = {}) =>
  uniformEncoder({
    vocabularySize,
    hiddenSize: 8 * heads,
    heads,
    layers,
    maxPositions: 20,
    dropout: 0,
    initializerRange: 0.3,
    ...more,
  });
const create = (config: EncoderConfigInput, architecture = "ForMaskedLM", seed = 3): Model =>
  createModel({ architecture, config, seed });
const batch = packSequences([{ ids: [2, 7, 9, 11, 3] }, { ids: [2, 20, 8, 3] }]);
const rows = Int32Array.of(1, 2, 6);
const targets = Int32Array.of(7, 9, 20);
const logits = (model: Model): number[] =>
  scope(() => Array.from(model.forward(batch, { rows, targets }).logits?.toTypedArray() as Float32Array));
const close = (a: number[], b: number[], tolerance: number): void => {
  const scale = Math.max(...a.map(Math.abs));
  expect(Math.max(...a.map((x, i) => Math.abs(x - b[i]))) / scale).toBeLessThan(tolerance);
};
const values = (model: Model) =>
  new Map([...model.parameters].map(([name, value]) => [name, Array.from(value.toTypedArray() as Float32Array)]));
const alone = (layers: number): number[][] => Array.from({ length: layers }, (_, i) => [i]);
const modern = (extra: object): EncoderConfigInput =>
  familyOf("modernbert").readConfig({
    vocab_size: vocabularySize,
    hidden_size: 16,
    num_hidden_layers: 2,
    num_attention_heads: 2,
    intermediate_size: 24,
    pad_token_id: 0,
    // What is left of the difference otherwise is the norm's epsilon.
    norm_eps: 1e-12,
    initializer_range: 0.3,
    max_position_embeddings: 20,
    ...extra,
  }).encoder;

describe("growing in width keeps the function", () => {
  test.each([
    [
      "BERT, 2",
      encoder(2, 2),
      [
        [0, 2],
        [1, 3],
      ],
    ],
    [
      "BERT, 3",
      encoder(2, 1),
      [
        [0, 1, 2],
        [5, 4, 3],
      ],
    ],
    [
      "norms before, with a transform",
      encoder(2, 2, { normPosition: "pre", embeddings: { norm: false } }),
      [
        [0, 2],
        [1, 3],
      ],
    ],
    [
      "gated, rotary",
      modern({}),
      [
        [0, 1],
        [2, 3],
      ],
    ],
  ] as [string, EncoderConfigInput, number[][]][])("%s", (_, config, heads) => {
    const small = create(config);
    const large = decoalesce(small, { heads, layers: alone(small.config.layers.length) });
    expect(large.config.hiddenSize).toBe(small.config.hiddenSize * heads[0].length);
    close(logits(small), logits(large), 2e-5);
    small.dispose();
    large.dispose();
  });

  test("a tied decoder right behind the last norm", () => {
    const config = encoder(2, 1, { normPosition: "pre", embeddings: { norm: false } });
    const small = createModel({ architecture: "ForMaskedLM", config, transform: null, seed: 2 });
    const large = decoalesce(small, {
      heads: [
        [0, 1],
        [2, 3],
      ],
      layers: [[0]],
    });
    close(logits(small), logits(large), 2e-5);
    small.dispose();
    large.dispose();
  });
});

describe("schemes", () => {
  test.each([
    ["halves", undefined],
    [
      "neighbours, (i, i + L/2)",
      {
        heads: [
          [0, 1],
          [2, 3],
        ],
        layers: [
          [0, 2],
          [1, 3],
        ],
      },
    ],
    [
      "three layers and one",
      {
        heads: [
          [3, 0],
          [1, 2],
        ],
        layers: [[0, 1, 2], [3]],
      },
    ],
  ] as const)("shrinking what was grown gives it back: %s", (_, given) => {
    const large = create(encoder(4, 4));
    const scheme = given ?? halfScheme(large.config);
    const small = coalesce(large, scheme);
    const again = coalesce(decoalesce(small, scheme), scheme);
    const [a, b] = [values(small), values(again)];
    for (const [name, value] of a)
      for (const [i, x] of value.entries()) expect(Math.abs(x - (b.get(name)?.[i] as number))).toBeLessThan(1e-6);
    // It has the parameters of a fresh small model.
    const fresh = encoderSpecs(encoder(2, 2)).map(({ name, shape }) => `${name} ${shape.join("x")}`);
    expect([...small.encoder.parameters].map(([name, { shape }]) => `${name} ${shape.join("x")}`).sort()).toEqual(
      fresh.sort(),
    );
    large.dispose();
    small.dispose();
  });

  test("averages what heads give and sums what they take", () => {
    const large = create(encoder(2, 1));
    const small = coalesce(large, { heads: [[0, 1]], layers: [[0]] });
    const [a, b] = [values(large), values(small)];
    const bias = (map: Map<string, number[]>) => map.get("encoder.layers.0.channel.output.bias") as number[];
    const weight = (map: Map<string, number[]>, name: string) => map.get(`encoder.${name}`) as number[];
    expect(bias(b).map(Math.abs)).toEqual(bias(a).slice(0, 8).map(Math.abs));
    // Row sums of the map F are 1: outputs; of its counterpart 2: inputs; tables get both.
    const [wide, narrow] = [weight(a, "layers.0.mixer.output.weight"), weight(b, "layers.0.mixer.output.weight")];
    const at = (i: number, j: number) => wide[16 * i + j];
    expect(narrow[8 * 2 + 3]).toBeCloseTo((at(2, 3) + at(2, 11) + at(10, 3) + at(10, 11)) / 2, 6);
    const [words, fewer] = [weight(a, "embeddings.word.weight"), weight(b, "embeddings.word.weight")];
    expect(fewer[8 * 5 + 1]).toBeCloseTo(words[16 * 5 + 1] + words[16 * 5 + 9], 6);
    large.dispose();
    small.dispose();
  });

  test("what is no scheme, and what has no levels, is refused", () => {
    const model = create(encoder(4, 2));
    const scheme =
      (heads: number[][], layers = [[0, 1]]) =>
      () =>
        coalesce(model, { heads, layers });
    expect(scheme([[0, 1], [2]])).toThrow(/MULTI_LEVEL_SCHEME|as many in each group/);
    expect(
      scheme([
        [0, 1],
        [2, 2],
      ]),
    ).toThrow(/once/);
    expect(
      scheme(
        [
          [0, 1],
          [2, 3],
        ],
        [[0]],
      ),
    ).toThrow(/layers/);
    const fourier = create(
      familyOf("fnet").readConfig({
        vocab_size: 40,
        hidden_size: 16,
        num_hidden_layers: 2,
        intermediate_size: 16,
        pad_token_id: 0,
      }).encoder,
    );
    expect(() => coalesce(fourier)).toThrow(expect.objectContaining({ code: "MULTI_LEVEL_UNSUPPORTED" }));
    const odd = create(encoder(3, 2));
    expect(() => coalesce(odd)).toThrow(/even numbers/);
    for (const one of [model, fourier, odd]) one.dispose();
  });
});

describe("blending", () => {
  test("0 is the one, 1 the other, and between them a mean", () => {
    const [a, b] = [create(encoder(2, 1), "ForMaskedLM", 1), create(encoder(2, 1), "ForMaskedLM", 2)];
    const [first, second] = [values(a), values(b)];
    interpolate(a, b, 0);
    expect(values(a)).toEqual(first);
    interpolate(a, b, 0.25);
    const name = "encoder.layers.0.mixer.output.weight";
    values(a)
      .get(name)
      ?.forEach((x, i) => {
        expect(x).toBeCloseTo(0.75 * (first.get(name)?.[i] as number) + 0.25 * (second.get(name)?.[i] as number), 5);
      });
    interpolate(a, b, 1);
    expect(values(a)).toEqual(second);
    const other = create(encoder(2, 2));
    expect(() => interpolate(other, a, 0.5)).toThrow(expect.objectContaining({ code: "MULTI_LEVEL_MISMATCH" }));
    for (const model of [a, b, other]) model.dispose();
  });

  test("copies of a neuron have the same gradients, bit for bit: they would never part", () => {
    const small = create(encoder(2, 1));
    const large = decoalesce(small, {
      heads: [
        [0, 2],
        [1, 3],
      ],
      layers: [[0]],
    });
    scope(() => backward(large.forward(batch, { rows, targets, training: true }).loss as Tensor));
    const gradient = large.parameters
      .get("encoder.layers.0.channel.input.weight")
      ?.grad?.toTypedArray() as Float32Array;
    const width = 32;
    const half = gradient.length / 2;
    expect(gradient.some((x) => x !== 0)).toBe(true);
    expect(Array.from(gradient.subarray(0, half))).toEqual(Array.from(gradient.subarray(half)));
    expect(gradient.length % width).toBe(0);
    small.dispose();
    large.dispose();
  });
});

test("a V-cycle trains the model in place through its levels", async () => {
  const corpus = memoryStore(
    Array.from({ length: 40 }, (_, i) => [5 + (i % 6), 11 + (i % 6), 17 + (i % 6), 23 + (i % 6)]),
  );
  const model = create(encoder(4, 4));
  const before = values(model);
  const widths: number[] = [];
  const { stages, interrupted } = await pretrainVCycle(model, vocabulary, corpus, {
    steps: 6,
    levels: 3,
    initialSteps: 2,
    smallSteps: 3,
    learningRate: 1e-3,
    batchTokens: 60,
    onStage: (_, one) => widths.push(one.config.hiddenSize),
  });
  expect(interrupted).toBe(false);
  expect(widths).toEqual([32, 16, 8, 16, 32]);
  expect(stages.map(({ phase, steps }) => [phase, steps])).toEqual([
    ["initial", 2],
    ["initial", 2],
    ["small", 3],
    ["small", 3],
    ["final", 6],
  ]);
  expect(stages[2].flops / stages[2].steps).toBeLessThan(stages[0].flops / stages[0].steps / 4);
  expect(values(model)).not.toEqual(before);
  model.dispose();
});

test("a V-cycle that was stopped in any of its stages and resumed ends as one that was not", async () => {
  const corpus = memoryStore(Array.from({ length: 40 }, (_, i) => [5 + (i % 6), 11 + (i % 6), 17 + (i % 6)]));
  const root = mkdtempSync(join(tmpdir(), "cloze-v-cycle-"));
  const options = { steps: 5, initialSteps: 3, smallSteps: 4, learningRate: 1e-2, batchTokens: 60, seed: 2 };
  const whole = create(encoder(4, 2));
  await pretrainVCycle(whole, vocabulary, corpus, options);
  for (const [stopIn, stopAt] of [
    [1, 2],
    [2, 1],
    [3, 3],
  ]) {
    const folder = join(root, String(stopIn));
    // What another run left there must not be gone on with.
    if (stopIn === 1) {
      const other = create(encoder(4, 2), "ForMaskedLM", 9);
      await pretrainVCycle(other, vocabulary, corpus, { ...options, folder });
      other.dispose();
    }
    let stages = 0;
    const first = create(encoder(4, 2));
    const stopped = await pretrainVCycle(first, vocabulary, corpus, {
      ...options,
      folder,
      onStage: () => {
        stages++;
      },
      shouldStop: (step) => stages === stopIn - 1 && step === stopAt,
    });
    first.dispose();
    expect([stopped.interrupted, stopped.stages.length, stopped.last?.steps]).toEqual([true, stopIn, stopAt]);
    const second = create(encoder(4, 2));
    const { interrupted, last } = await pretrainVCycle(second, vocabulary, corpus, {
      ...options,
      folder,
      resume: true,
    });
    expect([interrupted, last?.steps]).toEqual([false, 5]);
    expect(values(second)).toEqual(values(whole));
    second.dispose();
  }
  whole.dispose();
  rmSync(root, { recursive: true, force: true });
});

test("models without smaller copies are refused before anything runs", () => {
  const { config } = create(encoder(4, 4));
  expect(() => checkLevels(config, 3)).not.toThrow();
  expect(() => checkLevels(config, 4)).toThrow(/no smaller or larger copy/);
  expect(() => checkLevels(create(encoder(3, 2)).config, 2)).toThrow(/no smaller or larger copy/);
});
