// Experts (arXiv 2401.15713): they begin as the dense channel, and a text meets its own alone.
import { backward, exp, noGrad, scope, sum, type Tensor, tensor } from "@cloze/tensor";
import { describe, expect, test } from "vitest";
import { packSequences } from "../../data/packed-batch.js";
import { createModel, type Model } from "../../families/model.js";
import { extendModelWithExperts } from "../../training/extend-experts.js";
import type { EncoderBatch } from "../batch.js";
import { type EncoderConfigInput, parseEncoderConfig, uniformEncoder } from "../config.js";
import { encoderSpecs } from "../encoder.js";
import { encoderFlops } from "../flops.js";

const sequences = [
  [2, 5, 6, 7, 3],
  [2, 9, 3],
  [2, 8, 8, 5, 11, 12, 3],
  [2, 6],
].map((ids) => ({ ids }));
const batch = packSequences(sequences);
const config = uniformEncoder({
  vocabularySize: 20,
  hiddenSize: 16,
  layers: 2,
  heads: 2,
  intermediateSize: 24,
  maxPositions: 8,
  dropout: 0,
  initializerRange: 0.3,
});
const gated = parseEncoderConfig({
  ...config,
  layers: config.layers.map((layer) => ({
    ...layer,
    channel: { type: "gated-mlp" as const, intermediateSize: 12, bias: true },
  })),
});
const create = (input: EncoderConfigInput = config): Model =>
  createModel({ architecture: "Model", config: input, head: { type: "none" }, seed: 3 });
const hidden = ({ encoder }: Model, given: EncoderBatch): Float32Array =>
  scope(() => noGrad(() => encoder.forward(given).hidden.toTypedArray() as Float32Array));
const routed = (...routes: number[]): EncoderBatch => ({ ...batch, routes: Int32Array.from(routes) });
/** Moves every parameter of experts by another amount. */
function setApart(model: Model): void {
  for (const [name, parameter] of model.parameters) {
    const expert = /\.experts\.(\d+)\./.exec(name)?.[1];
    if (expert === undefined) continue;
    const values = parameter.toTypedArray().map((value, i) => value + 0.1 * Math.sin(i * (Number(expert) + 1)));
    parameter.storage.backend.write(values as Float32Array, parameter.pointer);
  }
}
const close = (a: Float32Array, b: Float32Array): void => {
  const scale = Math.max(...a.map(Math.abs));
  expect(Math.max(...a.map((x, i) => Math.abs(x - b[i])))).toBeLessThan(2e-6 * scale);
};

describe.each([
  ["mlp", config],
  ["gated-mlp", gated],
])("experts over %s", (_, input) => {
  test.each([
    [0, 0, 0, 0],
    [2, 1, 0, 2],
    [1, 1, 2, 2],
  ])("right after the extension texts sent to %i %i %i %i come out as before, bit for bit", (...routes) => {
    const dense = create(input);
    expect(hidden(extendModelWithExperts(dense, { count: 3 }), routed(...routes))).toEqual(hidden(dense, batch));
  });

  test.each(["token", "sequence"] as const)("equal experts behind a router by %s are the dense channel", (unit) => {
    const dense = create(input);
    const before = hidden(dense, batch);
    expect(hidden(extendModelWithExperts(dense, { count: 4, route: "switch", unit }), batch)).toEqual(before);
    close(before, hidden(extendModelWithExperts(dense, { count: 4, route: "top-k", unit, k: 2 }), batch));
  });
});

test("a text is not touched by which experts its neighbours use, nor by its place in the batch", () => {
  const model = extendModelWithExperts(create(), { count: 3 });
  setApart(model);
  const alone = (s: number, route: number) =>
    hidden(model, { ...packSequences([sequences[s]]), routes: Int32Array.of(route) });
  const parts = (given: EncoderBatch) => {
    const values = hidden(model, given);
    return Array.from({ length: given.offsets.length - 1 }, (_, s) =>
      values.slice(16 * given.offsets[s], 16 * given.offsets[s + 1]),
    );
  };
  expect(parts(routed(1, 0, 2, 1))[0]).toEqual(alone(0, 1));
  expect(parts(routed(1, 1, 1, 1))[0]).toEqual(alone(0, 1));
  expect(alone(0, 1)).not.toEqual(alone(0, 2));
  const turned = { ...packSequences([...sequences].reverse()), routes: Int32Array.of(1, 2, 0, 1) };
  expect(parts(turned).reverse()).toEqual(parts(routed(1, 0, 2, 1)));
});

test("an expert that no text meets gets no gradient, the others do", () => {
  const model = extendModelWithExperts(create(), { count: 3 });
  setApart(model);
  scope(() => backward(sum(exp(model.encoder.forward(routed(0, 2, 2, 0)).hidden))));
  for (const [name, { grad }] of model.parameters) {
    const expert = /\.experts\.(\d+)\.output\.weight/.exec(name)?.[1];
    if (expert === undefined) continue;
    const largest = Math.max(0, ...(grad?.toTypedArray() ?? []).map(Math.abs));
    if (expert === "1") expect(largest).toBe(0);
    else expect(largest).toBeGreaterThan(0);
  }
});

test("top-k without renormalisation is the dense channel times the probability that was kept", () => {
  const layer = {
    mixer: { type: "none" as const },
    channel: config.layers[0].channel,
    residual: false,
    channelNorm: false,
    dropout: 0,
  };
  const dense = create({ ...config, layers: [layer] });
  const options = { count: 4, route: "top-k", unit: "token", renormalise: false } as const;
  const model = extendModelWithExperts(dense, { ...options, k: 2 });
  const { logits, values } = scope(() =>
    noGrad(() => {
      const { routerLogits = [], hidden: out } = model.encoder.forward(batch, { routerLogits: true });
      return { logits: routerLogits[0].toTypedArray() as Float32Array, values: out.toTypedArray() as Float32Array };
    }),
  );
  const before = hidden(dense, batch);
  for (let t = 0; t < batch.ids.length; t++) {
    const powers = Array.from(logits.subarray(4 * t, 4 * t + 4), Math.exp).sort((a, b) => b - a);
    const kept = (powers[0] + powers[1]) / powers.reduce((a, b) => a + b);
    for (let c = 0; c < 16; c++) expect(values[16 * t + c]).toBeCloseTo(kept * before[16 * t + c], 4);
  }
});

test("gates have the gradients of finite differences", () => {
  const model = extendModelWithExperts(create(), { count: 3, route: "top-k", k: 2, renormalise: false, layers: [1] });
  setApart(model);
  const router = model.parameters.get("encoder.layers.1.channel.router.weight") as Tensor;
  const weights = Float32Array.from({ length: batch.ids.length * 16 }, (_, i) => Math.cos(i));
  const value = (): number => hidden(model, batch).reduce((total, x, i) => total + x * weights[i], 0);
  scope(() => {
    const { hidden: out } = model.encoder.forward(batch);
    backward(out, { gradient: tensor(weights, out.shape) });
  });
  const gradient = router.grad?.toTypedArray() as Float32Array;
  const start = router.toTypedArray() as Float32Array;
  for (const i of [0, 7, 20, 47]) {
    const at = (step: number): number => {
      router.storage.backend.write(
        start.map((x, j) => (j === i ? x + step : x)),
        router.pointer,
      );
      return value();
    };
    const numeric = (at(0.005) - at(-0.005)) / 0.01;
    expect(Math.abs(numeric - gradient[i])).toBeLessThan(0.02 * Math.max(...gradient.map(Math.abs)));
  }
});

test("segments choose experts token by token", () => {
  const dense = create();
  const model = extendModelWithExperts(dense, { count: 2, route: "segment" });
  setApart(model);
  const given = extendModelWithExperts(dense, { count: 2 });
  setApart(given);
  const second = { ...batch, segments: batch.segments.slice().fill(1) };
  expect(hidden(model, second)).toEqual(hidden(given, { ...second, routes: Int32Array.of(1, 1, 1, 1) }));
  expect(hidden(model, batch)).not.toEqual(hidden(model, second));
});

test("parameters grow by (N - 1) channels for each layer that is extended; work does not", () => {
  const size = (input: EncoderConfigInput) =>
    encoderSpecs(parseEncoderConfig(input)).reduce((total, { shape }) => total + shape.reduce((a, b) => a * b, 1), 0);
  const channel = 2 * 16 * 24 + 16 + 24;
  const { config: both } = extendModelWithExperts(create(), { count: 5 });
  const { config: one } = extendModelWithExperts(create(), { count: 5, layers: [1] });
  expect(size(both) - size(config)).toBe(4 * 2 * channel);
  expect(size(one) - size(config)).toBe(4 * channel);
  expect(encoderFlops(both, batch.offsets)).toBe(encoderFlops(config, batch.offsets));
});

describe("what is refused", () => {
  const model = extendModelWithExperts(create(), { count: 3 });
  test.each([
    ["no routes", batch],
    ["too few", routed(0, 1)],
    ["no such expert", routed(0, 1, 3, 0)],
  ])("%s", (_, given) => {
    expect(() => hidden(model, given)).toThrow(expect.objectContaining({ code: "EXPERT_ROUTES" }));
  });
  test("more experts chosen than there are, experts twice, and layers that there are not", () => {
    const dense = create();
    expect(() => extendModelWithExperts(dense, { count: 2, route: "top-k", k: 3 })).toThrow(/more than there are/);
    expect(() => extendModelWithExperts(model, { count: 2 })).toThrow(
      expect.objectContaining({ code: "INVALID_OPTION" }),
    );
    expect(() => extendModelWithExperts(dense, { count: 2, layers: [2] })).toThrow(/Layer 2/);
  });
});

test("weights that are stored otherwise are so in every expert", () => {
  const lowRank = parseEncoderConfig({
    ...config,
    layers: config.layers.map((layer) => ({
      ...layer,
      channel: { ...layer.channel, weights: { input: { type: "low-rank" as const, rank: 3 } } } as never,
    })),
  });
  const dense = create(lowRank);
  expect(hidden(extendModelWithExperts(dense, { count: 2 }), routed(0, 1, 0, 1))).toEqual(hidden(dense, batch));
});
