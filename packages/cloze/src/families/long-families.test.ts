// What the families of long sequences say about their configurations; their numbers are held by the parity fixtures.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { parseEncoderConfig } from "../encoder/config.js";
import { bigBird } from "./big-bird.js";
import type { Family } from "./family.js";
import { loadModel, saveModel } from "./io.js";
import { longformer } from "./longformer.js";

const fixtures = fileURLToPath(new URL("../../test/fixtures/families/", import.meta.url));
const small = { hidden_size: 8, num_hidden_layers: 2, num_attention_heads: 2, intermediate_size: 8, vocab_size: 20 };
const mixersOf = (family: Family, json: object) =>
  parseEncoderConfig(family.readConfig({ ...small, ...json }).encoder).layers.map(({ mixer }) => mixer);

test("longformer: a window for all layers, or one for each; both sides together", () => {
  expect(mixersOf(longformer, { attention_window: 64 })).toMatchObject([{ window: 32 }, { window: 32 }]);
  expect(mixersOf(longformer, { attention_window: [4, 6] })).toMatchObject([{ window: 2 }, { window: 3 }]);
  for (const attention_window of [5, [4], [4, 6, 8], [4, 5]]) {
    expect(() => mixersOf(longformer, { attention_window })).toThrow(
      expect.objectContaining({ code: "CONFIG_UNSUPPORTED" }),
    );
  }
});

test("big_bird: layers take different random blocks; full attention is plain attention", () => {
  expect(mixersOf(bigBird, { block_size: 16, num_random_blocks: 2 })).toMatchObject([
    { type: "block-sparse-attention", blockSize: 16, randomBlocks: 2, seed: 0 },
    { type: "block-sparse-attention", seed: 1 },
  ]);
  expect(mixersOf(bigBird, { attention_type: "original_full", is_decoder: true, use_bias: false })[0]).toMatchObject({
    type: "attention",
    causal: true,
    bias: false,
    outputBias: true,
  });
  expect(() => mixersOf(bigBird, { is_decoder: true })).toThrow(
    expect.objectContaining({ code: "CONFIG_UNSUPPORTED" }),
  );
});

test("what a model type cannot say is saved as Cloze's own", () => {
  const at = mkdtempSync(join(tmpdir(), "cloze-long-"));
  try {
    for (const [type, field] of [
      ["longformer", "attention_window"],
      ["big_bird", "block_size"],
    ]) {
      const model = loadModel(join(fixtures, type, "ForQuestionAnswering"));
      const config = (): Record<string, unknown> => JSON.parse(readFileSync(join(at, "config.json"), "utf8"));
      saveModel(model, at);
      expect(config()).toMatchObject({
        model_type: type,
        sep_token_id: expect.any(Number),
        [field]: expect.anything(),
      });
      // Layers in another order have windows that config.json can list, but random blocks that it cannot.
      const turned = { ...model, config: { ...model.config, layers: [...model.config.layers].reverse() } };
      saveModel(turned, at);
      expect(config().model_type).toBe(type === "longformer" ? "longformer" : "cloze");
      expect(loadModel(at).config.layers).toEqual(turned.config.layers);
      model.dispose();
    }
  } finally {
    rmSync(at, { recursive: true, force: true });
  }
});
