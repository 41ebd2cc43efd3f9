import { tensor } from "@cloze/tensor";
import { expect, test } from "vitest";
import type { DocumentSource } from "../data/document-source.js";
import { memoryDocuments } from "../data/document-store.js";
import type { RandomSource } from "../data/random-source.js";
import { sameDocumentPairs } from "../objectives/pairs/paragraph-pairs.js";
import type { Pretraining } from "./pretrain.js";
import { createValidation } from "./validation-loss.js";

const documentsFrom = (first: number, count: number) =>
  memoryDocuments(
    Array.from({ length: count }, (_, d) => ({
      title: new Int32Array(0),
      sections: [[0, 1, 2].map((p) => ({ sentences: [Int32Array.of(first + d, p)] }))],
    })),
  );

test("one document held out is asked about beside as many negatives as in training, from documents that are trained on", () => {
  const drawn: ReturnType<typeof sameDocumentPairs>[] = [];
  const objective = {
    draw(documents: DocumentSource, positions: Int32Array, random: RandomSource) {
      expect([...positions]).toEqual([0]);
      drawn.push(sameDocumentPairs(documents, positions[0], random));
      return drawn.at(-1);
    },
    tokens: () => 6,
    loss: () => tensor(new Float32Array([2])),
  };
  const corpus = { ...documentsFrom(100, 4), heldOut: documentsFrom(7, 1) };
  const prepared = { objective, vocabulary: {}, batches: { batchTokens: 100 } } as unknown as Pretraining;
  const validation = createValidation(corpus, prepared, {});
  validation.measure(1);
  validation.measure(2);
  expect(validation.records()).toEqual([1, 2].map((step) => ({ step, loss: 2, tokens: 6 })));
  const [[positive, ...negatives], again] = drawn;
  expect([positive.first[0], positive.second[0]]).toEqual([7, 7]);
  expect(negatives.map(({ label, second }) => [label, second[0] >= 100])).toEqual(Array(4).fill([0, true]));
  expect(again).toEqual([positive, ...negatives]);
});
