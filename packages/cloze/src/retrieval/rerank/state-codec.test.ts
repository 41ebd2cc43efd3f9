import { noGrad, scope, type Tensor, tensor } from "@cloze/tensor";
import { expect, test } from "vitest";
import { uniformEncoder } from "../../encoder/config.js";
import { createModel } from "../../families/index.js";
import { splitAt } from "./split-encoder.js";
import { createStateCodec, trainStateCodec } from "./state-codec.js";

const hiddenSize = 16;
const model = createModel({
  architecture: "ForSequenceClassification",
  seed: 5,
  config: uniformEncoder({
    vocabularySize: 30,
    hiddenSize,
    layers: 2,
    heads: 2,
    maxPositions: 24,
    dropout: 0,
    initializerRange: 0.2,
  }),
});
const documents = Array.from({ length: 6 }, (_, d) => ({
  ids: [3 + d, 9, 12 + 2 * d, 2],
  segment: 1,
  firstPosition: 4,
}));

test("states in few numbers: what is stored is what goes through the codec, and a trained one keeps the scores", async () => {
  const split = splitAt(model, 1);
  const stored = split.store(documents);
  const [query] = split.store([{ ids: [1, 7, 8, 2] }]);
  const codec = createStateCodec(hiddenSize, 8);
  const scoresOf = (texts: typeof stored) =>
    noGrad(() =>
      scope(() =>
        Array.from((split.resume(texts.map((one) => [query, one])).logits as Tensor).toTypedArray() as Float32Array),
      ),
    );
  const whole = scoresOf(stored);
  const apart = () => {
    const found = scoresOf(stored.map((text) => codec.expand(codec.compress(text))));
    return whole.reduce((sum, score, i) => sum + Math.abs(score - found[i]), 0);
  };
  const before = apart();
  const run = await trainStateCodec(codec, stored, { steps: 150, learningRate: 2e-2 });
  // States have a variance of about 1.
  expect(run.loss).toBeLessThan(0.2);
  expect(apart()).toBeLessThan(before / 3);
  const small = codec.compress(stored[0]);
  expect(small.codes.length).toBe(4 * 8);
  const back = codec.expand(small);
  expect([back.ids, back.positions, back.segments]).toEqual([stored[0].ids, stored[0].positions, stored[0].segments]);
  // Rounding to 16 bits is all that storing adds.
  const plain = scope(() => codec.forward(tensor(stored[0].states, [4, hiddenSize])).toTypedArray() as Float32Array);
  back.states.forEach((value, i) => {
    expect(Math.abs(value - plain[i])).toBeLessThan(0.05);
  });
  expect([...codec.expand({ ...small, codes: small.codes.slice() }).states]).toEqual([...back.states]);
  await expect(trainStateCodec(codec, [])).rejects.toThrow(/no stored texts/);
  codec.dispose();
  model.dispose();
});
