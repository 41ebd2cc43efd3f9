import { backward, createAdamW, noGrad, scope, type Tensor } from "@cloze/tensor";
import { expect, test } from "vitest";
import { uniformEncoder } from "../../encoder/config.js";
import { createModel } from "../../families/index.js";
import { cascadeCost, createExitRanker } from "./early-exit.js";

const ranker = (exits?: number[], normPosition: "pre" | "post" = "post") =>
  createExitRanker(
    createModel({
      architecture: "Model",
      seed: 4,
      config: uniformEncoder({
        vocabularySize: 30,
        hiddenSize: 16,
        layers: 3,
        heads: 2,
        maxPositions: 24,
        dropout: 0,
        normPosition,
        initializerRange: 0.3,
      }),
    }),
    exits,
  );
const sequences = Array.from({ length: 8 }, (_, i) => ({
  ids: [1, ...Array.from({ length: 2 + (i % 3) }, (_, j) => 3 + ((5 * i + 7 * j) % 26)), 2],
}));
const relevance = (logits: Tensor) => (logits.toArray() as number[][]).map(([no, yes]) => 1 / (1 + Math.exp(no - yes)));

test.each(["post", "pre"] as const)(
  "exits by the plain pass over all layers, packed or one by one (%s-norm)",
  (norm) => {
    const model = ranker(undefined, norm);
    const all = noGrad(() => scope(() => model.logits(sequences).map(relevance)));
    let before = Number.POSITIVE_INFINITY;
    const early = new Set<number>();
    for (const threshold of [0.5, 0.52, 0.55, 0.6, 0.7, 1.1]) {
      const thresholds = { positive: threshold, negative: threshold };
      const found = model.score(sequences, thresholds);
      sequences.forEach((sequence, i) => {
        const sure = all.findIndex((exit) => exit[i] > threshold || 1 - exit[i] > threshold);
        const place = sure < 0 ? all.length - 1 : sure;
        expect(found.layers[i]).toBe(model.exits[place]);
        expect(found.scores[i]).toBeCloseTo(all[place][i], 5);
        const alone = model.score([sequence], thresholds, 1);
        expect(alone.layers[0]).toBe(found.layers[i]);
        expect(alone.scores[0]).toBeCloseTo(found.scores[i], 5);
        early.add(found.layers[i]);
      });
      const exits = found.layers.filter((layer) => layer < 3).length;
      expect(exits).toBeLessThanOrEqual(before);
      before = exits;
    }
    // Thresholds above 1: the full model.
    expect(before).toBe(0);
    expect(early.size).toBeGreaterThan(1);
    model.dispose();
  },
);

test("a cascade: the worst leave, who stays ranks higher, the work is what the formula says", () => {
  const model = ranker();
  const { scores, layers } = model.cascade(sequences, 0.5);
  expect([...layers].sort()).toEqual([1, 1, 1, 1, 2, 2, 3, 3]);
  const read = layers.reduce((sum, layer) => sum + layer, 0);
  expect(read / (8 * 3)).toBeCloseTo(cascadeCost([1, 2, 3], 0.5), 10);
  const [first] = noGrad(() => scope(() => model.logits(sequences).map(relevance)));
  const left = [...first.keys()].sort((a, b) => first[a] - first[b]).slice(0, 4);
  expect(left.map((i) => layers[i])).toEqual([1, 1, 1, 1]);
  for (const [i, score] of scores.entries()) expect(Math.floor(score)).toBe(layers[i] - 1);
  expect([...model.cascade(sequences, 0).layers]).toEqual(new Array(8).fill(3));
  expect(cascadeCost([4, 6, 8, 10, 12], 0.3)).toBeCloseTo(0.629, 3);
  expect(() => ranker([1, 2])).toThrow(/last layer/);
  expect(() => ranker([2, 1, 3])).toThrow(/rising/);
  model.dispose();
});

test("the loss is the sum over exits, and teaches all of them", () => {
  const model = ranker([1, 3]);
  const relevant = sequences.map((_, i) => i % 2);
  const plain = noGrad(() => scope(() => model.logits(sequences).map(relevance)))
    .map((exit) => exit.reduce((sum, one, i) => sum - Math.log(relevant[i] === 1 ? one : 1 - one), 0) / exit.length)
    .reduce((sum, one) => sum + one);
  const optimizer = createAdamW([{ name: "all", parameters: model.parameters, learningRate: 1e-2 }]);
  const loss = () => scope(() => model.loss(sequences, relevant).item());
  expect(noGrad(loss)).toBeCloseTo(plain, 4);
  for (let step = 0; step < 30; step++) {
    scope(() => backward(model.loss(sequences, relevant)));
    optimizer.step();
    optimizer.zeroGrad();
  }
  expect(noGrad(loss)).toBeLessThan(plain / 2);
  optimizer.dispose();
  model.dispose();
});
