// The two forms of ModernBERT's config.json; its numbers are held by the parity fixture.
import { expect, test } from "vitest";
import { parseEncoderConfig } from "../encoder/config.js";
import { parseHeadConfig } from "../heads/index.js";
import { modernbert } from "./modernbert.js";

const small = { hidden_size: 8, num_hidden_layers: 5, num_attention_heads: 2, intermediate_size: 8, vocab_size: 20 };
const encoderOf = (json: object) => parseEncoderConfig(modernbert.readConfig({ ...small, ...json }).encoder);
const angles = (json: object) =>
  encoderOf(json).layers.map(({ mixer }) => (mixer.type === "attention" ? [mixer.window, mixer.rotary?.theta] : []));

test("both forms of the configuration give the same layers", () => {
  const older = {
    global_attn_every_n_layers: 2,
    local_attention: 10,
    global_rope_theta: 5000,
    local_rope_theta: 700,
  };
  const newer = {
    layer_types: [0, 1, 0, 1, 0].map((local) => (local === 1 ? "sliding_attention" : "full_attention")),
    local_attention: 10,
    rope_parameters: {
      full_attention: { rope_type: "default", rope_theta: 5000 },
      sliding_attention: { rope_type: "default", rope_theta: 700 },
    },
  };
  expect(angles(older)).toEqual([
    [0, 5000],
    [5, 700],
    [0, 5000],
    [5, 700],
    [0, 5000],
  ]);
  expect(encoderOf(newer)).toEqual(encoderOf(older));
});

test("what is left out has the defaults of the paper: every third layer is global", () => {
  expect(angles({})).toEqual([
    [0, 160000],
    [64, 10000],
    [64, 10000],
    [0, 160000],
    [64, 10000],
  ]);
  // Without a theta of their own, older local layers take the global one.
  expect(angles({ local_rope_theta: null })[1]).toEqual([64, 160000]);
});

test("only the first layer takes the embeddings without another norm", () => {
  expect(encoderOf({}).layers.map(({ mixerNorm }) => mixerNorm)).toEqual([false, true, true, true, true]);
});

test("any order of layers can be written, and is read again", () => {
  const encoder = encoderOf({
    layer_types: ["sliding_attention", "sliding_attention", "full_attention", "full_attention", "sliding_attention"],
  });
  const written = modernbert.writeConfig(encoder, parseHeadConfig({ type: "none" }));
  expect(parseEncoderConfig(modernbert.readConfig(written ?? {}).encoder)).toEqual(encoder);
});

test.each([
  ["scaled positions", { rope_parameters: { full_attention: { rope_type: "yarn", factor: 4 } } }, "CONFIG_UNSUPPORTED"],
  ["scaled positions, older form", { rope_scaling: { type: "linear", factor: 2 } }, "CONFIG_UNSUPPORTED"],
  ["kinds of too few layers", { layer_types: ["full_attention"] }, "CONFIG_INVALID"],
  ["an unknown kind", { layer_types: new Array(5).fill("causal_attention") }, "CONFIG_INVALID"],
])("%s are refused", (_, json, code) => {
  expect(() => encoderOf(json)).toThrow(expect.objectContaining({ code }));
});
