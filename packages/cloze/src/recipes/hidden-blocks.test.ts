import { expect, test } from "vitest";
import { memoryDocuments } from "../data/document-store.js";
import { uniformEncoder } from "../encoder/config.js";
import { madeVocabulary } from "./data/hidden-word-classes.js";
import { type HiddenBlocks, hiddenBlocks } from "./hidden-blocks.js";
import { pretrainArm } from "./pretrain-arm.js";

/** Documents of a word each: what was hidden is what stands beside it. */
const documents = memoryDocuments(
  Array.from({ length: 12 }, (_, i) => ({
    title: new Int32Array(0),
    sections: [[{ sentences: Array.from({ length: 4 }, () => Int32Array.of(5 + i, 5 + i)) }]],
  })),
);

test("hidden blocks: as good as guessing before training, their document's afterwards; one vector for all is seen", async () => {
  const vocabulary = madeVocabulary(12);
  const document = { layers: 1, dropout: 0 };
  const objective = { type: "masked-blocks", block: 5, maxBlocks: 4, maskedBlocks: 1, document } as const;
  const run = async (steps: number, initializerRange: number) => {
    const found: HiddenBlocks[] = [];
    const { model } = await pretrainArm({
      encoder: uniformEncoder({
        vocabularySize: vocabulary.vocabularySize,
        hiddenSize: 16,
        layers: 1,
        heads: 2,
        maxPositions: 5,
        dropout: 0,
        initializerRange,
      }),
      corpus: documents,
      vocabulary,
      objective,
      learningRate: 1e-2,
      batchTokens: 12 * 4 * 5,
      steps,
      seed: 1,
      inspect(made, trained) {
        // Asked twice: the run's own weights are left to it.
        for (let i = 0; i < 2; i++) found.push(hiddenBlocks(made, trained, objective, documents, 12));
      },
    });
    model.dispose();
    expect(found[1]).toEqual(found[0]);
    return found[0];
  };
  const after = await run(120, 0.3);
  expect(after.chance).toBeCloseTo(1 / 12, 6);
  expect(after.accuracy).toBeGreaterThan(0.7);
  expect(after.cosine).toBeLessThan(0.9);
  // So small first weights make nothing of words.
  const before = await run(1, 1e-4);
  expect(before.accuracy).toBeLessThan(0.5);
  expect(before.cosine).toBeGreaterThan(0.95);
});
