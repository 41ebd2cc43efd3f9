// Attention to a context: the keys that are left out against the keys that are masked.
import { grad, mul, noGrad, parameter, randomNormal, scope, sum, take, tensor } from "@cloze/tensor";
import { describe, expect, test } from "vitest";
import { packSequences } from "../../data/packed-batch.js";
import { createModel } from "../../families/index.js";
import { compile } from "../../inference/compile.js";
import type { EncoderBatch } from "../batch.js";
import { type EncoderConfigInput, parseEncoderConfig, uniformEncoder } from "../config.js";
import { createEncoder } from "../encoder.js";
import { encoderFlops } from "../flops.js";
import { attendBlocks } from "./block-attention.js";
import { attendComposed, keyMask } from "./composed-attention.js";
import { planContext } from "./context-attention.js";

const lengths = [7, 1, 20, 6];
const sequences = lengths.map((length, s) => ({ ids: Array.from({ length }, (_, i) => 2 + ((5 * i + s) % 17)) }));
const plain = packSequences(sequences);
// Every third token, and the first one of each sequence.
const context = Uint8Array.from(plain.positions, (place, t) => Number(place === 0 || t % 3 === 0));
const batch: EncoderBatch = { ...plain, context };
const config = uniformEncoder({
  vocabularySize: 20,
  hiddenSize: 12,
  layers: 2,
  heads: 3,
  maxPositions: 24,
  dropout: 0,
  initializerRange: 0.4,
});
const greatest = (a: Float32Array, b: Float32Array): number => Math.max(...a.map((x, i) => Math.abs(x - b[i])));
const states = (input: EncoderConfigInput, given: EncoderBatch): Float32Array => {
  const encoder = createEncoder(input, { seed: 2 });
  const values = scope(() => noGrad(() => encoder.forward(given).hidden.toTypedArray() as Float32Array));
  encoder.dispose();
  return values;
};

describe("keys that are left out are keys that are masked", () => {
  test.each([
    ["all visible", undefined],
    ["some not visible", Int32Array.of(5, 1, 13, 6)],
  ])("outputs and gradients, %s", (_, visible) => {
    const given = visible === undefined ? batch : { ...batch, visible };
    const inputs = [7, 8, 9].map((seed) => parameter(randomNormal([34, 12], { seed })));
    const weights = randomNormal([34, 12], { seed: 11 });
    const both = [
      () => {
        const { rows, plans } = planContext(given);
        const [k, v] = inputs.slice(1).map((input) => take(input, tensor(rows)));
        return attendBlocks(inputs[0], k, v, plans, { heads: 3 });
      },
      () => attendComposed(inputs[0], inputs[1], inputs[2], given, { heads: 3, mask: keyMask(given, undefined) }),
    ].map((attend) => {
      const output = attend();
      const gradients = grad([sum(mul(output, weights))], inputs);
      return [output, ...gradients].map((values) => values.toTypedArray() as Float32Array);
    });
    expect(Math.max(...both[0].map((values, i) => greatest(values, both[1][i])))).toBeLessThan(1e-5);
    // Keys beside the context have no gradient at all.
    const outside = [...context].flatMap((one, t) => (one === 1 ? [] : [t]));
    expect(outside.length).toBeGreaterThan(10);
    for (const t of outside) expect([...both[0][2].subarray(12 * t, 12 * t + 12)]).toEqual(new Array(12).fill(0));
  });

  const thin = { type: "low-rank" as const, rank: 5 };
  test.each([
    ["dense", config],
    [
      "low-rank",
      parseEncoderConfig({
        ...config,
        layers: config.layers.map((layer) => ({
          ...layer,
          mixer: { ...layer.mixer, weights: { queryKeyValue: thin } } as typeof layer.mixer,
        })),
      }),
    ],
  ])("in a whole encoder with %s weights, layer by layer from the states of that layer", (_, input) => {
    // A batch that also hides tokens takes the masked way.
    const masked = states(input, { ...batch, unseen: new Uint8Array(batch.ids.length) });
    expect(greatest(states(input, batch), masked)).toBeLessThan(1e-5);
    expect(greatest(states(input, batch), states(input, plain))).toBeGreaterThan(0.1);
  });
});

test("a context of all tokens is ordinary attention", () => {
  const all = { ...plain, context: new Uint8Array(plain.ids.length).fill(1) };
  expect(greatest(states(config, all), states(config, plain))).toBeLessThan(1e-5);
});

test.each(["causal", "prefix"] as const)("with the direction %s the context is heeded, too", (direction) => {
  const layers = config.layers.map((layer) => ({ ...layer, mixer: { ...layer.mixer, direction } }));
  const directed = parseEncoderConfig({ ...config, layers });
  const before = states(directed, batch);
  const last = plain.ids.length - 1;
  // The last but one is none of the context: only its own output may change.
  expect(context[last - 1]).toBe(0);
  const ids = plain.ids.slice();
  ids[last - 1] = 3;
  const after = states(directed, { ...batch, ids });
  const changed = [...plain.ids.keys()].filter((t) =>
    after.subarray(12 * t, 12 * t + 12).some((x, i) => x !== before[12 * t + i]),
  );
  expect(changed).toEqual([last - 1]);
});

const layer = (mixer: object, channel: object = { type: "mlp", intermediateSize: 8 }) =>
  ({ vocabularySize: 20, hiddenSize: 12, maxPositions: 24, layers: [{ mixer, channel }] }) as EncoderConfigInput;
const attention = { type: "attention", heads: 3 };
const experts = { type: "experts", count: 2, route: "switch", expert: { type: "mlp", intermediateSize: 8 } };

describe("parts that do not heed a context refuse it", () => {
  test.each([
    ["fourier", layer({ type: "fourier" })],
    ["recurrent", layer({ type: "recurrent", cell: "gru" })],
    ["convolution", layer({ type: "convolution" })],
    ["relative-bias-attention", layer({ type: "relative-bias-attention", heads: 3 })],
    ["longformer", layer({ type: "longformer", heads: 3, window: 4 })],
    ["nystrom", layer({ type: "nystrom", heads: 3 })],
    ["experts", layer(attention, { ...experts, unit: "sequence" })],
  ])("%s, in the engine and for plans", (name, input) => {
    const encoder = createEncoder(input, { seed: 1 });
    const refusal = { code: "CONFIG_UNSUPPORTED", received: expect.stringContaining(name) };
    expect(() => encoder.forward(batch)).toThrow(expect.objectContaining(refusal));
    expect(() => encoder.planBatch(batch)).toThrow(expect.objectContaining(refusal));
    scope(() => expect(encoder.forward(plain).hidden.shape).toEqual([34, 12]));
    encoder.dispose();
  });

  test("experts by token heed it", () => {
    expect(states(layer(attention, { ...experts, unit: "token" }), batch).every(Number.isFinite)).toBe(true);
  });
});

test("a compiled model computes the same: it leaves such batches to the engine", () => {
  const model = createModel({ architecture: "Model", config, head: { type: "none" }, seed: 2 });
  const compiled = compile(model);
  expect([plain, batch].map((given) => compiled.takes(given))).toEqual([true, false]);
  for (const given of [plain, batch]) {
    expect(greatest(compiled.runSync(given), states(config, given))).toBeLessThan(1e-5);
  }
  compiled.close();
  model.dispose();
});

test("a context that fits no batch is refused", () => {
  const encoder = createEncoder(config, { seed: 1 });
  const wrong = { code: "BATCH_SHAPE" };
  expect(() => encoder.forward({ ...batch, context: new Uint8Array(3) })).toThrow(expect.objectContaining(wrong));
  const none = context.slice();
  none.fill(0, 8, 28);
  expect(() => encoder.forward({ ...batch, context: none })).toThrow(
    expect.objectContaining({ ...wrong, received: "none in sequence 2" }),
  );
  encoder.dispose();
});

test("work between tokens is counted by the tokens that are looked at", () => {
  const offsets = Int32Array.of(0, 10);
  const half = Uint8Array.from({ length: 10 }, (_, i) => i % 2);
  // 2 layers x 10 tokens x 5 keys x 12 wide, scores and sums, a multiplication and an addition each.
  expect(encoderFlops(config, offsets) - encoderFlops(config, offsets, half)).toBe(2 * 10 * 5 * 12 * 4);
});
