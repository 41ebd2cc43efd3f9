// A model with other positions: taken away, begun at 0, as sines and cosines; on disk and in fine-tuning.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { noGrad, randomNormal, scope, type Tensor } from "@cloze/tensor";
import { afterAll, describe, expect, test } from "vitest";
import { packImages } from "../data/image-batch.js";
import { packSequences } from "../data/packed-batch.js";
import type { EncoderBatch } from "../encoder/batch.js";
import { uniformEncoder } from "../encoder/config.js";
import { sinusoids } from "../encoder/embeddings/sinusoids.js";
import { createModel, familyOf, loadModel, type Model, saveModel } from "../families/index.js";
import { classification } from "../tasks/classification.js";
import { trainWordPiece } from "../text/index.js";
import { changePositions, type PositionStart, positionStarts, withPositions } from "./change-positions.js";
import { finetune } from "./finetune.js";

const folder = mkdtempSync(join(tmpdir(), "cloze-change-positions-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const roberta = familyOf("roberta").readConfig({
  vocab_size: 30,
  hidden_size: 16,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  intermediate_size: 24,
  max_position_embeddings: 14,
  initializer_range: 0.3,
}).encoder;
const vit = uniformEncoder({
  vocabularySize: 0,
  segmentVocabularySize: 0,
  hiddenSize: 16,
  layers: 1,
  heads: 2,
  normPosition: "pre",
  initializerRange: 0.3,
  embeddings: { type: "patches", imageSize: [4, 6], patchSize: [2, 2], channels: 1, positions: "learned" },
});
const create = (config: typeof roberta): Model => createModel({ architecture: "Model", config, seed: 3 });
const words = packSequences([{ ids: [0, 9, 4, 17, 9, 2] }, { ids: [0, 12, 2] }]);
const image = packImages(
  scope(() => randomNormal([48], { seed: 5 }).toTypedArray() as Float32Array),
  { imageSize: [4, 6], patchSize: [2, 2], channels: 1 },
);
const states = (model: Model, batch: EncoderBatch): Float32Array =>
  scope(() => noGrad(() => model.forward(batch).hidden.toTypedArray() as Float32Array));
const tableOf = (model: Model): Tensor | undefined => model.parameters.get("encoder.embeddings.position.weight");
const greatest = (a: Float32Array, b: Float32Array): number => Math.max(...a.map((x, i) => Math.abs(x - b[i])));

describe.each([
  ["words", roberta, words],
  ["patches", vit, image],
] as const)("%s", (_, config, batch) => {
  test("positions that begin at 0 give what none do; others do not", () => {
    const model = create(config);
    const bag = changePositions(model, "none");
    expect(tableOf(bag)).toBeUndefined();
    expect(greatest(states(bag, batch), states(model, batch))).toBeGreaterThan(0.01);
    const starts = Object.fromEntries(positionStarts.map((start) => [start, changePositions(bag, start, { seed: 8 })]));
    expect(greatest(states(starts.zero, batch), states(bag, batch))).toBe(0);
    for (const start of ["sin-cos", "random"]) {
      expect(greatest(states(starts[start], batch), states(bag, batch))).toBeGreaterThan(0.01);
    }
    expect(starts.none.config).toEqual(bag.config);
    // Everything else is as it was, in copies.
    for (const [name, value] of bag.parameters) {
      expect(starts.zero.parameters.get(name)?.toTypedArray()).toEqual(value.toTypedArray());
      expect(starts.zero.parameters.get(name)).not.toBe(value);
    }
    for (const one of [model, bag, ...Object.values(starts)]) one.dispose();
  });

  test("are saved and loaded", () => {
    const model = create(config);
    for (const start of positionStarts) {
      const changed = changePositions(model, start);
      saveModel(changed, join(folder, start));
      const loaded = loadModel(join(folder, start));
      expect(loaded.config).toEqual(changed.config);
      expect(states(loaded, batch)).toEqual(states(changed, batch));
      loaded.dispose();
      changed.dispose();
    }
    model.dispose();
  });
});

test("a table gets sines and cosines where its places are, as large as other new numbers", () => {
  const model = create(roberta);
  const changed = changePositions(model, "sin-cos");
  const table = tableOf(changed)?.toTypedArray() as Float32Array;
  // RoBERTa's rows 0 and 1 belong to no place.
  expect(table.subarray(0, 32).every((value) => value === 0)).toBe(true);
  expect(table[32 + 8]).toBeCloseTo(0.3 * Math.SQRT2, 6);
  expect(table[48]).toBeCloseTo(0.3 * Math.SQRT2 * Math.sin(1), 6);
  const places = table.subarray(32);
  expect(Math.sqrt(places.reduce((sum, x) => sum + x * x, 0) / places.length)).toBeCloseTo(0.3, 6);
  const small = changePositions(model, "sin-cos", { scale: 0.01 });
  expect(tableOf(small)?.toTypedArray()[32 + 8]).toBeCloseTo(0.01, 8);
  for (const one of [model, changed, small]) one.dispose();
});

test("of a grid, half of the width tells rows and half columns", () => {
  const grid = sinusoids([2, 3], 8);
  const row = sinusoids([2], 4);
  const column = sinusoids([3], 4);
  for (let place = 0; place < 6; place++) {
    const [r, c] = [Math.floor(place / 3), place % 3];
    expect([...grid.subarray(8 * place, 8 * place + 8)]).toEqual([
      ...row.subarray(4 * r, 4 * r + 4),
      ...column.subarray(4 * c, 4 * c + 4),
    ]);
  }
  expect([...column.subarray(8)]).toEqual([Math.sin(2), Math.sin(0.02), Math.cos(2), Math.cos(0.02)].map(Math.fround));
  expect([...sinusoids([2], 3)]).toEqual([0, 1, 0, Math.sin(1), Math.cos(1), 0].map(Math.fround));
});

test.each<[PositionStart, boolean]>([
  ["none", false],
  ["zero", true],
  ["sin-cos", true],
])("fine-tuning starts with positions: %s", async (start, placed) => {
  const rows = Array.from({ length: 12 }, (_, i) => ({
    row: i + 1,
    text: i % 2 === 0 ? "the cat sat" : "a dog ran",
    label: i % 2 === 0 ? "cat" : "dog",
  }));
  const tokenizer = trainWordPiece(
    rows.map(({ text }) => text),
    { vocabularySize: 40, minFrequency: 1 },
  );
  const config = withPositions(
    uniformEncoder({ vocabularySize: tokenizer.vocabularySize, hiddenSize: 16, layers: 1, heads: 2, maxPositions: 16 }),
    "none",
  );
  const model = createModel({ architecture: "ForSequenceClassification", config, labels: 2 });
  const result = await finetune({
    task: classification,
    model,
    tokenizer,
    train: rows,
    epochs: 1,
    batchSize: 4,
    maxLength: 16,
    positions: start,
    allowMismatched: true,
  });
  const table = result.model.parameters.get("encoder.embeddings.position.weight");
  expect(table !== undefined).toBe(placed);
  expect(result.used).toMatchObject({ positions: start });
  // New positions are trained like the rest.
  if (start === "zero") expect(table?.toTypedArray().some((value) => value !== 0)).toBe(true);
  result.model.dispose();
});
