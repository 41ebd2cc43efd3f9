// MP3: nothing but contents tells places, only the context is looked at, and every token is asked.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { noGrad, randomNormal, scope } from "@cloze/tensor";
import { afterAll, describe, expect, test } from "vitest";
import { greatest, hiddenSize, images, layout, words } from "../../test/unplaced-encoders.js";
import { imageSource } from "../data/input-source.js";
import { type PackedBatch, packSequences } from "../data/packed-batch.js";
import { randomOrder, randomSource } from "../data/random-source.js";
import type { EncoderBatch } from "../encoder/batch.js";
import type { EncoderConfigInput } from "../encoder/config.js";
import { createEncoder } from "../encoder/encoder.js";
import { createModel, loadModel, type Model, saveModel } from "../families/index.js";
import { pretrain } from "../training/pretrain.js";
import { createObjective, noVocabulary, parseObjective } from "./index.js";
import { contextSize, drawContext, type PositionBatch, positionLogits } from "./position-prediction.js";

const folder = mkdtempSync(join(tmpdir(), "cloze-positions-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const vocabulary = { ...noVocabulary, vocabularySize: 30, clsId: 2, sepId: 3, specialIds: new Set([0, 2, 3]) };
const create = (config: EncoderConfigInput, more: object = {}): Model =>
  createModel({ architecture: "Model", config, head: { type: "none" }, seed: 4, ...more });
const objectiveFor = (model: Model, options: object = {}, maxLength = 40) =>
  createObjective(parseObjective({ type: "mp3", ...options }), {
    model,
    vocabulary: model.config.vocabularySize === 0 ? noVocabulary : vocabulary,
    maxLength,
    batchTokens: 100,
    seed: 1,
  });
const prepare = (objective: ReturnType<typeof createObjective>, batch: PackedBatch, seed = 5): PositionBatch =>
  objective.prepare?.(batch, randomSource(seed)) as PositionBatch;
const lossOf = (objective: ReturnType<typeof createObjective>, batch: PositionBatch): number =>
  scope(() => noGrad(() => objective.loss(batch, { seed: 0, step: 0, training: false }).item()));
const pixels = (count: number): Float32Array =>
  scope(() => randomNormal([count * 3 * 4 * 6], { seed: 3 }).toTypedArray() as Float32Array);
describe("the encoder", () => {
  const config = words({ normPosition: "pre" });
  const encoder = createEncoder(config, { seed: 2 });
  const ids = [2, 9, 4, 17, 9, 22, 5, 11, 28, 3];
  const context = Uint8Array.of(1, 0, 1, 1, 0, 0, 1, 0, 1, 1);
  const batchOf = (tokens: readonly number[], looked: Uint8Array): EncoderBatch => ({
    ...packSequences([{ ids: tokens }]),
    context: looked,
  });
  const run = (batch: EncoderBatch): Float32Array =>
    scope(() => noGrad(() => encoder.forward(batch).hidden.toTypedArray() as Float32Array));
  const rowOf = (states: Float32Array, t: number): Float32Array => states.slice(hiddenSize * t, hiddenSize * (t + 1));
  afterAll(() => encoder.dispose());

  test("is equivariant: where tokens and context change places, outputs change places", () => {
    const before = run(batchOf(ids, context));
    for (const seed of [1, 2, 3]) {
      const order = [...randomOrder(ids.length, randomSource(seed))];
      const after = run(
        batchOf(
          order.map((t) => ids[t]),
          Uint8Array.from(order, (t) => context[t]),
        ),
      );
      const back = order.map((t, place) => greatest(rowOf(after, place), rowOf(before, t)));
      expect(Math.max(...back)).toBeLessThan(1e-5);
    }
  });

  test("a token beside the context changes its own output alone; one of the context changes all", () => {
    const before = run(batchOf(ids, context));
    const changed = (t: number): number[] => {
      const after = run(
        batchOf(
          ids.map((id, i) => (i === t ? 15 : id)),
          context,
        ),
      );
      return ids.flatMap((_, i) => (greatest(rowOf(after, i), rowOf(before, i)) > 0 ? [i] : []));
    };
    expect(changed(4)).toEqual([4]);
    expect(changed(7)).toEqual([7]);
    expect(changed(3)).toEqual(ids.map((_, i) => i));
  });

  test("without masking it is ordinary attention", () => {
    expect(contextSize(37, 0)).toBe(37);
    const plain = run(packSequences([{ ids }]));
    expect(greatest(run(batchOf(ids, new Uint8Array(ids.length).fill(1))), plain)).toBeLessThan(1e-5);
    expect(greatest(run(batchOf(ids, context)), plain)).toBeGreaterThan(0.1);
  });
});

const fill = (objective: ReturnType<typeof createObjective>, value: (i: number) => number): void => {
  for (const parameter of objective.parameters.values()) {
    const values = (parameter.toTypedArray() as Float32Array).map((_, i) => value(i));
    parameter.storage.backend.write(values, parameter.pointer);
  }
};

describe("the layer that answers", () => {
  test.each([
    ["of patches: their number", images(), 6],
    ["of words: the positions that are asked", words(), 20],
  ])("has H x L + L numbers, %s", (_, config, places) => {
    const model = create(config);
    const objective = objectiveFor(model, { positions: 20 });
    const count = [...objective.parameters.values()].reduce((sum, { size }) => sum + size, 0);
    expect(count).toBe(hiddenSize * places + places);
    objective.dispose();
    model.dispose();
  });

  test("a pre-norm encoder that ends without a norm gets one before it", () => {
    const model = create(words({ normPosition: "pre", finalNorm: false }));
    const objective = objectiveFor(model);
    expect([...objective.parameters.keys()].map((name) => name.replace("position-prediction.", ""))).toEqual([
      "norm.weight",
      "norm.bias",
      "weight",
      "bias",
    ]);
    const batch = prepare(objective, packSequences([{ ids: [2, 9, 4, 17, 3] }]));
    const logits = (): Float32Array =>
      scope(() => noGrad(() => positionLogits(model, objective.parameters, batch).toTypedArray() as Float32Array));
    const before = logits();
    // What the last layer adds is a hundred times as large, and so is the state: its norm stays.
    for (const [name, value] of model.encoder.parameters) {
      if (!/embeddings\.word|layers\.\d\.(mixer|channel)\.output/.test(name)) continue;
      value.storage.backend.write(
        (value.toTypedArray() as Float32Array).map((x) => 100 * x),
        value.pointer,
      );
    }
    expect(Math.max(...logits().map(Math.abs))).toBeLessThan(10 * Math.max(...before.map(Math.abs)));
    objective.dispose();
    model.dispose();
  });

  test("tokens that are all alike: the loss is ln L where all answers are equally likely, and more otherwise", () => {
    const model = create(images({ classToken: false }));
    const objective = objectiveFor(model);
    const source = imageSource(new Float32Array(3 * 72).fill(0.7), { ...layout, classToken: false });
    const batch = prepare(objective, source.pack([0, 1, 2]));
    const logits = scope(() => noGrad(() => positionLogits(model, objective.parameters, batch).toTypedArray()));
    for (let row = 1; row < 18; row++) {
      expect(
        greatest(logits.subarray(0, 6) as Float32Array, logits.subarray(6 * row, 6 * row + 6) as Float32Array),
      ).toBe(0);
    }
    expect(lossOf(objective, batch)).toBeGreaterThan(Math.log(6) + 1e-3);
    fill(objective, () => 0);
    expect(lossOf(objective, batch)).toBeCloseTo(Math.log(6), 6);
    objective.dispose();
    model.dispose();
  });

  test("the loss is a mean over all tokens with a place, in the context or not", () => {
    const model = create(images());
    const objective = objectiveFor(model, { maskRatio: 0.5 });
    const batch = prepare(objective, imageSource(pixels(4), layout).pack([0, 1, 2, 3]));
    expect(batch.rows.length).toBe(4 * 6);
    const logits = scope(() => noGrad(() => positionLogits(model, objective.parameters, batch).toTypedArray()));
    const losses = Array.from(batch.targets, (target, i) => {
      const row = Array.from(logits.subarray(6 * i, 6 * i + 6) as Float32Array);
      return Math.log(row.reduce((sum, x) => sum + Math.exp(x), 0)) - row[target];
    });
    expect(lossOf(objective, batch)).toBeCloseTo(losses.reduce((a, b) => a + b, 0) / losses.length, 5);
    objective.dispose();
    model.dispose();
  });
});

describe("a batch", () => {
  test.each([
    [64, 0.5, 32],
    [36, 0.5, 18],
    [7, 0.75, 2],
    [3, 0.99, 1],
    [1, 0.5, 1],
  ])("of %i tokens and the ratio %f has %i in the context", (length, maskRatio, size) => {
    expect(contextSize(length, maskRatio)).toBe(size);
  });

  test("draws contexts of one size, each token as often as the others", () => {
    const batch = packSequences([{ ids: new Int32Array(8) }, { ids: new Int32Array(8) }]);
    const rows = Int32Array.from([1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15]);
    const counts = new Float64Array(16);
    const draws = 4000;
    const random = randomSource(3);
    for (let i = 0; i < draws; i++) {
      const context = drawContext(batch, rows, () => 3, random);
      // The tokens at 0 and 8 have no place, and are always looked at.
      expect([context.subarray(0, 8), context.subarray(8)].map((part) => part.reduce((a, b) => a + b, 0))).toEqual([
        4, 4,
      ]);
      context.forEach((one, t) => {
        counts[t] += one / draws;
      });
    }
    expect([counts[0], counts[8]]).toEqual([1, 1].map((share) => expect.closeTo(share, 9)));
    // Four deviations of a share of 3/7 in 4,000 draws.
    for (const t of rows) expect(Math.abs(counts[t] - 3 / 7)).toBeLessThan(4 * Math.sqrt(((3 / 7) * (4 / 7)) / draws));
  });

  test("of images: the token of the image is looked at and has no place", () => {
    const model = create(images());
    const objective = objectiveFor(model, { maskRatio: 0.75 });
    const { batch, rows, targets } = prepare(objective, imageSource(pixels(2), layout).pack([0, 1]));
    expect([...rows]).toEqual([1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13]);
    expect([...targets]).toEqual([0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5]);
    expect([batch.context[0], batch.context[7]]).toEqual([1, 1]);
    expect(batch.context.reduce((a, b) => a + b, 0)).toBe(2 * (1 + 2));
    objective.dispose();
    model.dispose();
  });

  test("of words: windows between the special tokens, whose segments tell nothing", () => {
    const model = create(words());
    const objective = objectiveFor(model, { positions: 4, maskRatio: 0 });
    const given = packSequences([
      { ids: [2, 10, 11, 12, 13, 14, 15, 3], segments: [0, 0, 0, 0, 1, 1, 1, 1] },
      { ids: [2, 3] },
      // What is left of this one, a token alone, has nothing to be placed by; a special token inside counts as a place.
      { ids: [2, 20, 3, 21, 22, 23, 3] },
      { ids: [2, 24, 3] },
    ]);
    const { batch, rows, targets } = prepare(objective, given);
    const sequence = (s: number): number[] => [...batch.ids.subarray(batch.offsets[s], batch.offsets[s + 1])];
    expect([0, 1, 2, 3].map(sequence)).toEqual([
      [2, 10, 11, 12, 13, 3],
      [2, 14, 15, 3],
      [2, 20, 3, 21, 22, 3],
      [2, 24, 3],
    ]);
    expect(batch.offsets.length).toBe(5);
    expect(batch.segments.every((segment) => segment === 0)).toBe(true);
    expect(Array.from(rows, (row) => batch.ids[row])).toEqual([10, 11, 12, 13, 14, 15, 20, 21, 22, 24]);
    expect([...targets]).toEqual([0, 1, 2, 3, 0, 1, 0, 2, 3, 0]);
    objective.dispose();
    model.dispose();
  });

  test("without any token that has a place is refused", () => {
    const model = create(words());
    const objective = objectiveFor(model);
    expect(() => prepare(objective, packSequences([{ ids: [2, 3] }]))).toThrow(
      expect.objectContaining({ code: "OBJECTIVE_CORPUS" }),
    );
    objective.dispose();
    model.dispose();
  });

  test("work is counted with the keys that are looked at", () => {
    const model = create(images());
    const batch = imageSource(pixels(2), layout).pack([0, 1]);
    const flops = [0, 0.5].map((maskRatio) => {
      const objective = objectiveFor(model, { maskRatio });
      const counted = objective.flops(prepare(objective, batch));
      objective.dispose();
      return counted;
    });
    // 3 layers, 2 images, 7 tokens, 3 keys of 12 numbers less; scores and sums, forwards and twice backwards.
    expect(flops[0] - flops[1]).toBe(3 * 3 * 2 * 7 * 3 * 12 * 4);
    model.dispose();
  });
});

test("images are pre-trained, saved, loaded and go on bit for bit", async () => {
  const source = imageSource(pixels(12), layout);
  expect([source.count, source.tokens, source.length(3)]).toEqual([12, 84, 7]);
  const train = async (model: Model, how: object = {}) =>
    pretrain(model, noVocabulary, source, {
      objective: { type: "position-prediction", maskRatio: 0.5 },
      steps: 4,
      batchTokens: 28,
      learningRate: 1e-3,
      checkpointMinutes: 0,
      ...how,
    });
  const bits = ({ parameters }: Model) => new Map([...parameters].map(([name, value]) => [name, value.toTypedArray()]));
  const [whole, stopped, resumed] = [create(images()), create(images()), create(images())];
  const first = bits(whole);
  expect(Number.isFinite((await train(whole)).loss)).toBe(true);
  expect(bits(whole)).not.toEqual(first);
  const run = join(folder, "run");
  await train(stopped, { folder: run, shouldStop: (step: number) => step === 2 });
  await train(resumed, { folder: run, resume: true });
  expect(bits(resumed)).toEqual(bits(whole));
  saveModel(whole, join(folder, "model"));
  const loaded = loadModel(join(folder, "model"));
  expect(loaded.config).toEqual(whole.config);
  expect(bits(loaded)).toEqual(bits(whole));
  for (const model of [whole, stopped, resumed, loaded]) model.dispose();
});

test("frames are patches of one frame: each has a place", () => {
  const frames = { imageSize: [10, 4] as [number, number], patchSize: [1, 4] as [number, number], channels: 1 };
  const model = create(images({ ...frames, classToken: false }));
  const objective = objectiveFor(model);
  const batch = prepare(objective, imageSource(pixels(5).subarray(0, 80), { ...frames, classToken: false }).pack([1]));
  expect([...batch.targets]).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  expect(objective.parameters.get("position-prediction.bias")?.shape).toEqual([10]);
  expect(Number.isFinite(lossOf(objective, batch))).toBe(true);
  objective.dispose();
  model.dispose();
});
