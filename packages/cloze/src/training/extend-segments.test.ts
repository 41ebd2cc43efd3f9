import { memory, scope } from "@cloze/tensor";
import { expect, test } from "vitest";
import { packSequences } from "../data/packed-batch.js";
import { uniformEncoder } from "../encoder/config.js";
import { createModel, type Model } from "../families/index.js";
import { extendSegments } from "./extend-segments.js";

const create = (segmentVocabularySize: number) =>
  createModel({
    architecture: "ForMaskedLM",
    config: uniformEncoder({
      vocabularySize: 20,
      hiddenSize: 8,
      layers: 1,
      heads: 2,
      maxPositions: 8,
      segmentVocabularySize,
      initializerRange: 0.3,
    }),
    seed: 2,
  });
const outputs = (model: Model, segments: number[]) =>
  scope(() => model.forward(packSequences([{ ids: [3, 5, 7], segments }])).hidden.toTypedArray());

test.each([0, 1, 2])("of %i segments: all that is made is freed again", (known) => {
  const model = create(known);
  const before = memory.stats().liveBytes;
  const grown = extendSegments(model, 5);
  expect(memory.stats().liveBytes).toBeGreaterThan(before);
  grown.dispose();
  expect(memory.stats().liveBytes).toBe(before);
  model.dispose();
});

test.each([0, 1, 2])("of %i segments: what there was stays, new ones begin as the last", (known) => {
  const model = create(known);
  const grown = extendSegments(model, 5);
  expect(grown.config.segmentVocabularySize).toBe(5);
  expect(grown.head.config).toEqual(model.head.config);
  const last = Math.max(0, known - 1);
  expect(outputs(grown, [0, last, last])).toEqual(outputs(model, [0, last, last]));
  expect(outputs(grown, [0, 4, 3])).toEqual(outputs(model, [0, last, last]));
  if (known > 0) expect(() => extendSegments(model, known - 1)).toThrow(/keeps/);
  grown.dispose();
  // The one given stays.
  expect(outputs(model, [0, 0, 0]).every(Number.isFinite)).toBe(true);
  model.dispose();
});
