// What the configurations of DeBERTa say; its numbers are held by the parity fixtures.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readSafetensors } from "@cloze/tensor";
import { expect, test } from "vitest";
import { parseEncoderConfig } from "../encoder/config.js";
import { parseHeadConfig } from "../heads/index.js";
import { deberta } from "./deberta.js";
import { debertaV2 } from "./deberta-v2.js";
import type { Family } from "./family.js";
import { loadModel, saveModel } from "./io.js";

const small = { hidden_size: 8, num_hidden_layers: 2, num_attention_heads: 2, intermediate_size: 8, vocab_size: 20 };
const encoderOf = (family: Family, json: object) =>
  parseEncoderConfig(family.readConfig({ ...small, ...json }).encoder);
const mixerOf = (family: Family, json: object) => encoderOf(family, json).layers[0].mixer;

test("kinds of attention: a list, or names with bars", () => {
  for (const family of [deberta, debertaV2]) {
    const both = mixerOf(family, { relative_attention: true, pos_att_type: ["p2c", "c2p"] });
    expect(both).toMatchObject({ contentToPosition: true, positionToContent: true, maxDistance: 512 });
    expect(mixerOf(family, { relative_attention: true, pos_att_type: "C2P| p2c" })).toEqual(both);
    expect(mixerOf(family, { relative_attention: true, pos_att_type: "c2p", max_relative_positions: 9 })).toMatchObject(
      { contentToPosition: true, positionToContent: false, maxDistance: 9 },
    );
    expect(() => mixerOf(family, { pos_att_type: "c2c" })).toThrow(
      expect.objectContaining({ code: "CONFIG_UNSUPPORTED" }),
    );
  }
});

test("without relative attention the kinds that are named count in the scale, as in transformers", () => {
  for (const family of [deberta, debertaV2]) {
    const plain = { contentToPosition: false, positionToContent: false };
    expect(mixerOf(family, {})).toMatchObject(plain);
    expect(mixerOf(family, {})).not.toHaveProperty("scaleFactor");
    expect(mixerOf(family, { pos_att_type: "c2p|p2c" })).toMatchObject({ ...plain, scaleFactor: 3 });
  }
});

test.each<[string, Family, object]>([
  ["1, relative", deberta, { relative_attention: true, pos_att_type: "p2c", type_vocab_size: 2 }],
  ["1, plain", deberta, { pos_att_type: "p2c", embedding_size: 6 }],
  ["3", debertaV2, { relative_attention: true, pos_att_type: "c2p|p2c", position_buckets: 4, share_att_key: true }],
  ["2, with a convolution", debertaV2, { conv_kernel_size: 3, conv_act: "gelu", norm_rel_ebd: "layer_norm" }],
])("%s: what is written is read again", (_, family, json) => {
  const encoder = encoderOf(family, json);
  const written = family.writeConfig(encoder, parseHeadConfig({ type: "none" }));
  expect(parseEncoderConfig(family.readConfig(written ?? {}).encoder)).toEqual(encoder);
});

test("what there is no part for is refused", () => {
  // Half of the buckets are near distances, and none is left for the others.
  const noBuckets = { relative_attention: true, pos_att_type: "c2p", position_buckets: 8, max_relative_positions: 5 };
  expect(mixerOf(debertaV2, { ...noBuckets, max_relative_positions: 6 })).toMatchObject({ buckets: 8 });
  for (const json of [
    { conv_kernel_size: 4 },
    { conv_kernel_size: 3, conv_groups: 2 },
    noBuckets,
    { pooler_hidden_size: 9 },
  ]) {
    expect(() => encoderOf(debertaV2, json)).toThrow(expect.objectContaining({ code: "CONFIG_UNSUPPORTED" }));
  }
  expect(() => encoderOf(deberta, { talking_head: true })).toThrow(
    expect.objectContaining({ code: "CONFIG_UNSUPPORTED" }),
  );
});

test("a new language head on an old encoder is named as its configuration says", () => {
  const folder = fileURLToPath(new URL("../../test/fixtures/families/deberta-v2-large/Model", import.meta.url));
  const at = mkdtempSync(join(tmpdir(), "cloze-deberta-"));
  try {
    const model = loadModel(folder, { architecture: "ForMaskedLM" });
    saveModel(model, at);
    model.dispose();
    expect(JSON.parse(readFileSync(join(at, "config.json"), "utf8"))).toMatchObject({
      legacy: false,
      architectures: ["DebertaV2ForMaskedLM"],
    });
    const file = readSafetensors(at);
    const heads = file.names.filter((name) => !name.startsWith("deberta."));
    file.close();
    expect(heads.sort()).toEqual(
      ["LayerNorm.bias", "LayerNorm.weight", "bias", "dense.bias", "dense.weight"].map(
        (name) => `lm_predictions.lm_head.${name}`,
      ),
    );
  } finally {
    rmSync(at, { recursive: true, force: true });
  }
});
