import { noGrad, scope } from "@cloze/tensor";
import { expect, test } from "vitest";
import { packSequences } from "../data/packed-batch.js";
import { uniformEncoder } from "../encoder/config.js";
import { createModel } from "../families/model.js";
import { separatorPlaces, tokensWhere } from "./separator.js";

const batch = packSequences([{ ids: [0, 5, 6, 2, 2, 7, 2] }, { ids: [] }, { ids: [0, 5] }]);
const config = uniformEncoder({ vocabularySize: 9, hiddenSize: 8, layers: 1, heads: 2, maxPositions: 8 });

test("the first separator of each sequence", () => {
  expect([...separatorPlaces(batch, 2)]).toEqual([3, -1, -1]);
  expect([...separatorPlaces(batch, undefined)]).toEqual([-1, -1, -1]);
  expect([...tokensWhere(batch, (place, s) => place === 1 && s === 2)]).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 1]);
});

test("global tokens: the question for answers, what follows it for choices, the first for classes", () => {
  const globals = (architecture: string) => {
    const model = createModel({ architecture, config, separatorId: 2 });
    const tokens = model.head.globalTokens(batch);
    model.dispose();
    return tokens && [...tokens];
  };
  expect(globals("ForQuestionAnswering")).toEqual([1, 1, 1, 0, 0, 0, 0, 0, 0]);
  expect(globals("ForMultipleChoice")).toEqual([0, 0, 0, 0, 0, 1, 1, 0, 0]);
  expect(globals("ForSequenceClassification")?.slice(0, 3)).toEqual([1, 0, 0]);
  expect(globals("ForTokenClassification")).toBeUndefined();
});

test("answers stay out of the question, but for its first token", () => {
  const logits = (maskQuestion: boolean) => {
    const head = {
      type: "question-answering" as const,
      separatorId: 2,
      maskQuestion,
      feedForward: { intermediateSize: 5, activation: "relu" as const },
    };
    const model = createModel({ architecture: "ForQuestionAnswering", config, head });
    const numbers = scope(() => noGrad(() => model.forward(batch).startLogits?.toTypedArray())) as Float32Array;
    model.dispose();
    return [...numbers];
  };
  const [masked, plain] = [logits(true), logits(false)];
  masked.forEach((value, row) => {
    if (row >= 1 && row <= 3) expect(value).toBeLessThan(-9e5);
    else expect(value).toBe(plain[row]);
  });
});
