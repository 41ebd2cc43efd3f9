import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { backward, scope } from "@cloze/tensor";
import { afterEach, beforeEach, expect, test } from "vitest";
import { packImages } from "../data/image-batch.js";
import type { EncoderBatch } from "../encoder/batch.js";
import type { EncoderConfigInput } from "../encoder/config.js";
import { createModel, loadModel, type Model, saveModel } from "./index.js";

const fixture = fileURLToPath(new URL("../../test/fixtures/families/vit/ForImageClassification", import.meta.url));
const layout = { imageSize: [5, 7], patchSize: [2, 3], channels: 2 } as const;
const pixels = (images: number): Float32Array => Float32Array.from({ length: images * 70 }, (_, i) => Math.sin(i * i));
const config = (change: object = {}): EncoderConfigInput => ({
  vocabularySize: 0,
  segmentVocabularySize: 0,
  padId: null,
  hiddenSize: 8,
  embeddings: { type: "patches", imageSize: [5, 7], patchSize: [2, 3], channels: 2, dropout: 0.5, ...change },
  normPosition: "pre",
  layers: [{ mixer: { type: "attention", heads: 2 }, channel: { type: "mlp", intermediateSize: 8 }, dropout: 0.5 }],
});
const create = (change?: object): Model =>
  createModel({ architecture: "ForSequenceClassification", config: config(change), labels: 3 });
const hidden = (model: Model, batch: EncoderBatch, options = {}): number[] =>
  scope(() => Array.from(model.forward(batch, options).hidden.toTypedArray()));

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "cloze-vit-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test("images are packed patch by patch; what makes no whole images is refused", () => {
  const batch = packImages(pixels(2), layout);
  expect(Array.from(batch.offsets)).toEqual([0, 5, 10]);
  expect(Array.from(batch.positions)).toEqual([0, 1, 2, 3, 4, 0, 1, 2, 3, 4]);
  expect(Array.from(packImages(pixels(2), layout, [0, 1, 0, 0, 0, 0, 0, 1]).ids)).toEqual([
    0, 0, 1, 0, 0, 0, 0, 0, 0, 1,
  ]);
  expect(packImages(pixels(2), { ...layout, classToken: false }).ids).toHaveLength(8);
  const refused = { code: "BATCH_SHAPE" };
  expect(() => packImages(pixels(1).subarray(1), layout)).toThrow(expect.objectContaining(refused));
  expect(() => packImages(pixels(1), { ...layout, patchSize: [6, 1] })).toThrow(expect.objectContaining(refused));
  expect(() => packImages(pixels(1), layout, [1])).toThrow(expect.objectContaining(refused));
});

test("each image for itself; dropout in training only; pixels that fill no patch change nothing", () => {
  const model = create();
  const both = pixels(2);
  const all = hidden(model, packImages(both, layout));
  const single = [0, 1].flatMap((i) => hidden(model, packImages(both.slice(70 * i, 70 * i + 70), layout)));
  expect(all).toHaveLength(80);
  all.forEach((value, i) => {
    expect(value).toBeCloseTo(single[i], 5);
  });
  expect(hidden(model, packImages(both, layout), { training: true, seed: 1 })).not.toEqual(all);
  const edge = Float32Array.from(both, (value, i) => (i % 7 === 6 || Math.floor(i / 7) % 5 === 4 ? 9 : value));
  expect(hidden(model, packImages(edge, layout))).toEqual(all);
  expect(hidden(model, packImages(new Float32Array(0), layout))).toEqual([]);
  model.dispose();
});

test("a masked patch is not shown, and trains the mask token", () => {
  const model = create({ maskToken: true, dropout: 0 });
  const masked = [0, 1, 0, 0];
  const [one, other] = [pixels(1), pixels(1)];
  // Patch 1: rows 0 and 1, columns 3 to 5.
  for (const channel of [0, 35]) for (const row of [0, 7]) other.fill(5, channel + row + 3, channel + row + 6);
  expect(hidden(model, packImages(one, layout))).not.toEqual(hidden(model, packImages(other, layout)));
  expect(hidden(model, packImages(one, layout, masked))).toEqual(hidden(model, packImages(other, layout, masked)));
  scope(() => {
    const { loss } = model.forward(packImages(one, layout, masked), { labels: Int32Array.of(2) });
    if (loss !== undefined) backward(loss);
  });
  for (const [name, value] of model.parameters) {
    const gradient = value.grad?.toTypedArray() ?? [];
    // All keys shifted alike change no probability, so their bias has none.
    expect(
      Array.from(gradient).some((number) => number !== 0),
      name,
    ).toBe(true);
  }
  model.dispose();
});

test("batches and heads that do not fit are refused, by code", () => {
  const model = create();
  const batch = packImages(pixels(2), layout);
  const refused = (input: EncoderBatch, code: string) =>
    expect(() => scope(() => model.forward(input))).toThrow(expect.objectContaining({ code }));
  refused({ ...batch, values: undefined }, "BATCH_SHAPE");
  refused({ ...batch, values: batch.values.subarray(70) }, "BATCH_SHAPE");
  refused({ ...batch, positions: batch.positions.map((place) => (place + 1) % 5) }, "BATCH_SHAPE");
  refused(packImages(pixels(2), { ...layout, classToken: false }), "BATCH_SHAPE");
  refused(packImages(pixels(2), layout, [1, 0, 0, 0, 0, 0, 0, 0]), "TOKEN_OUT_OF_RANGE");
  model.dispose();
  const predicting = () => createModel({ architecture: "ForMaskedLM", config: config() });
  expect(predicting).toThrow(expect.objectContaining({ code: "CONFIG_INVALID" }));
  const large = () => create({ patchSize: [6, 6] });
  expect(large).toThrow(expect.objectContaining({ code: "CONFIG_INVALID" }));
});

test("config.json keeps the words of its source where they say the same, and only there", () => {
  cpSync(fixture, folder, { recursive: true });
  const path = join(folder, "config.json");
  const json = JSON.parse(readFileSync(path, "utf8"));
  const source = {
    ...json,
    image_size: [json.image_size, json.image_size],
    hidden_act: "gelu_python",
    dtype: "float16",
  };
  writeFileSync(path, JSON.stringify(source));
  const model = loadModel(folder);
  saveModel(model, folder);
  const again = JSON.parse(readFileSync(path, "utf8"));
  expect(again).toMatchObject({ image_size: source.image_size, hidden_act: "gelu_python", dtype: "float32" });
  expect(again.label2id).toEqual(json.label2id);
  model.dispose();
});
