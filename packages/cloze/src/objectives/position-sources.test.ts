// MP3 refuses encoders that know places from elsewhere than contents; what it takes knows no order.
import { noGrad, scope } from "@cloze/tensor";
import { describe, expect, test } from "vitest";
import { greatest, hiddenSize, images, words } from "../../test/unplaced-encoders.js";
import { packSequences } from "../data/packed-batch.js";
import { randomOrder, randomSource } from "../data/random-source.js";
import { type EncoderConfigInput, parseEncoderConfig } from "../encoder/config.js";
import { createEncoder } from "../encoder/encoder.js";
import { parseHeadConfig } from "../heads/index.js";
import { checkObjective, objectives, parseObjective } from "./index.js";

const none = parseHeadConfig({ type: "none" });
const mp3 = parseObjective({ type: "mp3" });
const mixed = (mixer: object, channel: object = { type: "mlp", intermediateSize: 8 }): EncoderConfigInput =>
  ({
    vocabularySize: 30,
    hiddenSize,
    maxPositions: 40,
    embeddings: { positions: "none" },
    layers: [{ mixer, channel }],
  }) as EncoderConfigInput;
const attention = { type: "attention", heads: 3 };
const convolution = { type: "convolution" };
const experts = { type: "experts", count: 2, route: "switch", expert: { type: "mlp", intermediateSize: 8 } };

describe("refuses every other source of positions, by name", () => {
  test.each<[string, EncoderConfigInput, string]>([
    ["learned positions", words({ embeddings: { positions: "learned" } }), "embeddings (positions: learned)"],
    ["gated positions", words({ embeddings: { positions: "gated" } }), "embeddings (positions: gated)"],
    ["positions of patches", images({ positions: "learned" }), "embeddings (positions: learned)"],
    ["rotation", mixed({ ...attention, rotary: { theta: 10000 } }), "layers.0.mixer (attention)"],
    ["one direction", mixed({ ...attention, causal: true }), "layers.0.mixer (attention)"],
    ["a prefix", mixed({ ...attention, direction: "prefix" }), "layers.0.mixer (attention)"],
    ["a window", mixed({ ...attention, window: 3 }), "layers.0.mixer (attention)"],
    ["a bias by distance", mixed({ type: "relative-bias-attention", heads: 3 }), "relative-bias-attention"],
    ["disentangled distances", mixed({ type: "disentangled-attention", heads: 3, maxDistance: 8 }), "disentangled"],
    ["a Fourier transform", mixed({ type: "fourier" }), "layers.0.mixer (fourier)"],
    ["recurrence", mixed({ type: "recurrent", cell: "lstm" }), "layers.0.mixer (recurrent)"],
    ["a convolution", mixed(convolution), "layers.0.mixer (convolution)"],
    ["n-grams", mixed({ type: "hashed-ngrams" }), "layers.0.mixer (hashed-ngrams)"],
    ["a convolution beside attention", mixed({ type: "convolution-attention", heads: 3 }), "convolution-attention"],
    ["experts by sequence", mixed(attention, { ...experts, unit: "sequence" }), "layers.0.channel (experts)"],
  ])("%s", (_, config, received) => {
    const refusal = { code: "OBJECTIVE_COMBINATION", received: expect.stringContaining(received) };
    expect(() => checkObjective(mp3, parseEncoderConfig(config), none)).toThrow(expect.objectContaining(refusal));
  });

  test("a branch beside the others", () => {
    const config = mixed(attention);
    const layers = config.layers.map((layer) => ({ ...layer, parallel: convolution as never }));
    expect(() => checkObjective(mp3, parseEncoderConfig({ ...config, layers }), none)).toThrow(
      expect.objectContaining({ received: "layers.0.parallel (convolution)" }),
    );
  });

  test.each<[string, EncoderConfigInput]>([
    ["words", words()],
    ["patches", images()],
    ["gated channels", mixed(attention, { type: "gated-mlp", intermediateSize: 8 })],
    ["experts by token", mixed(attention, { ...experts, unit: "token" })],
    ["layers without a mixer", mixed({ type: "none" })],
  ])("takes %s", (_, config) => {
    expect(() => checkObjective(mp3, parseEncoderConfig(config), none)).not.toThrow();
  });
});

test.each<[string, EncoderConfigInput]>([
  ["attention", mixed(attention)],
  ["gated channels", mixed(attention, { type: "gated-mlp", intermediateSize: 8 })],
  ["experts by token", mixed(attention, { ...experts, unit: "token" })],
  ["the best of experts by token", mixed(attention, { ...experts, route: "top-k", unit: "token" })],
  ["layers without a mixer", mixed({ type: "none" })],
])("%s know no order, and look at the context alone, as they declare", (_, config) => {
  const encoder = createEncoder({ ...config, initializerRange: 0.4 }, { seed: 6 });
  const ids = [2, 9, 4, 17, 9, 22, 5, 11, 28, 3];
  const looked = Uint8Array.of(1, 0, 1, 1, 0, 0, 1, 0, 1, 1);
  const run = (tokens: number[], context: Uint8Array): Float32Array =>
    scope(() =>
      noGrad(
        () => encoder.forward({ ...packSequences([{ ids: tokens }]), context }).hidden.toTypedArray() as Float32Array,
      ),
    );
  const row = (states: Float32Array, t: number): Float32Array => states.slice(hiddenSize * t, hiddenSize * (t + 1));
  const before = run(ids, looked);
  const order = [...randomOrder(ids.length, randomSource(4))];
  const moved = run(
    order.map((t) => ids[t]),
    Uint8Array.from(order, (t) => looked[t]),
  );
  expect(Math.max(...order.map((t, place) => greatest(row(moved, place), row(before, t))))).toBeLessThan(1e-5);
  const after = run(
    ids.map((id, t) => (t === 5 ? 15 : id)),
    looked,
  );
  const others = ids.flatMap((__, t) => (t === 5 ? [] : [greatest(row(after, t), row(before, t))]));
  expect(Math.max(...others)).toBeLessThan(1e-6);
  expect(greatest(row(after, 5), row(before, 5))).toBeGreaterThan(0.01);
  encoder.dispose();
});

test("objectives that ask for words still refuse encoders without", () => {
  const asking = Object.entries(objectives).filter(([, { input, wordless }]) => input === "sequences" && !wordless);
  expect(asking.length).toBeGreaterThan(5);
  expect(() =>
    checkObjective(
      parseObjective({ type: "mlm" }),
      parseEncoderConfig(images()),
      parseHeadConfig({ type: "masked-language" }),
    ),
  ).toThrow(expect.objectContaining({ code: "OBJECTIVE_COMBINATION", received: "vocabularySize 0" }));
});
