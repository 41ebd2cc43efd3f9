import { add, gelu, layerNorm, linear, noGrad, scope, slice, type Tensor, tensor } from "@cloze/tensor";
import { expect, test } from "vitest";
import { packSequences } from "../../data/packed-batch.js";
import { uniformEncoder } from "../../encoder/config.js";
import { attendComposed, splitColumns } from "../../encoder/mixers/composed-attention.js";
import { createModel } from "../../families/index.js";
import { splitAt } from "./split-encoder.js";

const layers = 3;
const modelOf = (normPosition: "pre" | "post") =>
  createModel({
    architecture: "ForSequenceClassification",
    seed: 5,
    config: uniformEncoder({
      vocabularySize: 30,
      hiddenSize: 16,
      layers,
      heads: 2,
      maxPositions: 24,
      dropout: 0,
      normPosition,
      initializerRange: 0.2,
    }),
  });
const query = { ids: [1, 7, 8, 2] };
const short = { ids: [1, 9, 2] };
const document = (ids: number[]) => ({ ids: [...ids, 2], segment: 1, firstPosition: 4 });
const documents = [document([11, 12, 13]), document([14]), document([7, 8, 9, 10, 11])];
const numbers = (x: Tensor | undefined) => Array.from((x as Tensor).toTypedArray() as Float32Array);
const furthest = (a: readonly number[], b: readonly number[]) =>
  a.length === b.length ? Math.max(...a.map((value, i) => Math.abs(value - b[i]))) : Number.POSITIVE_INFINITY;
const joined = (of: { ids: number[] }, { ids }: { ids: number[] }) => ({
  ids: [...of.ids, ...ids],
  segments: [...of.ids.map(() => 0), ...ids.map(() => 1)],
});

test.each(["post", "pre"] as const)("stored states resumed are one pass with the split mask (%s-norm)", (norm) => {
  const model = modelOf(norm);
  noGrad(() =>
    scope(() => {
      const ordinary = numbers(model.forward(packSequences(documents.map((one) => joined(query, one)))).logits);
      for (let layer = 0; layer <= layers; layer++) {
        const split = splitAt(model, layer);
        const stored = split.store(documents);
        const [asked] = split.store([query]);
        const resumed = numbers(split.resume(stored.map((one) => [asked, one])).logits);
        const once = numbers(split.forward(documents.map((one) => [query, one])).logits);
        expect(furthest(resumed, once)).toBeLessThan(2e-5);
        if (layer === 0) expect(furthest(resumed, ordinary)).toBeLessThan(2e-5);
        else expect(furthest(resumed, ordinary)).toBeGreaterThan(1e-3);
        // One by one, and beside another query of another length.
        stored.forEach((one, i) => {
          expect(furthest([...split.store([documents[i]])[0].states], [...one.states])).toBeLessThan(2e-5);
          const alone = numbers(split.resume([[asked, one]]).logits);
          expect(furthest(alone, resumed.slice(i * alone.length, (i + 1) * alone.length))).toBeLessThan(2e-5);
        });
        const [brief] = split.store([short]);
        const mixed = numbers(
          split.resume([
            [brief, stored[0]],
            [asked, stored[1]],
          ]).logits,
        );
        const two = mixed.length / 2;
        expect(furthest(mixed.slice(two), resumed.slice(two, 2 * two))).toBeLessThan(2e-5);
      }
    }),
  );
  model.dispose();
});

test("the lower layers are attention whose sides do not look at each other", () => {
  const model = modelOf("post");
  noGrad(() =>
    scope(() => {
      const batch = packSequences([joined(query, documents[2])]);
      const length = batch.ids.length;
      const parameter = (name: string) => model.encoder.parameters.get(name) as Tensor;
      const apart = (i: number, j: number) => batch.segments[i] !== batch.segments[j];
      // A layer of BERT, by its formula, with a mask.
      let state = model.encoder.forward(batch, { depth: 0 }).hidden;
      for (let layer = 0; layer < 2; layer++) {
        const of = (name: string) =>
          [parameter(`layers.${layer}.${name}.weight`), parameter(`layers.${layer}.${name}.bias`)] as const;
        const [q, k, v] = splitColumns(linear(state, ...of("mixer.queryKeyValue")), 3);
        const mixed = linear(attendComposed(q, k, v, batch, { heads: 2, mask: apart }), ...of("mixer.output"));
        const epsilon = model.config.normEpsilon;
        state = layerNorm(add(state, mixed), ...of("mixerNorm"), { epsilon });
        const inner = gelu(linear(state, ...of("channel.input")));
        state = layerNorm(add(state, linear(inner, ...of("channel.output"))), ...of("channelNorm"), { epsilon });
      }
      const split = splitAt(model, 2);
      const stored = split.store([query, documents[2]]);
      const lower = stored.flatMap(({ states }) => [...states]);
      expect(furthest(lower, numbers(state))).toBeLessThan(2e-5);
      expect(numbers(slice(state, [{ start: 0, end: length }]))).toHaveLength(lower.length);
      const top = model.forward(batch, {
        resume: { layer: 2, hidden: tensor(Float32Array.from(numbers(state)), state.shape) },
      });
      const resumed = split.resume([[stored[0], stored[1]]]);
      expect(furthest(numbers(resumed.logits), numbers(top.logits))).toBeLessThan(2e-5);
    }),
  );
  expect(() => splitAt(model, 4)).toThrow(/so many layers/);
  expect(() => model.encoder.forward(packSequences([query]), { resume: { layer: 9, hidden: tensor([[1]]) } })).toThrow(
    /so many layers/,
  );
  expect(() => model.encoder.forward(packSequences([query]), { resume: { layer: 1, hidden: tensor([[1]]) } })).toThrow(
    /one state for each token/,
  );
  model.dispose();
});
