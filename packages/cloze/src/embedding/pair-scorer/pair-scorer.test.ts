import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { backward, createAdamW, scope, square, sub, sum, type Tensor, tensor } from "@cloze/tensor";
import { afterAll, describe, expect, test } from "vitest";
import { packSequences } from "../../data/packed-batch.js";
import { uniformEncoder } from "../../encoder/config.js";
import { createModel } from "../../families/index.js";
import { trainWordPiece } from "../../text/index.js";
import {
  createPairScorer,
  crossEncoderLogits,
  distillPairScorer,
  loadPairScorer,
  type PairScorerOptions,
  readPairLogits,
  writePairLogits,
} from "./index.js";
import { pairLogits, sideShare, splitLogits } from "./pair-features.js";

const folder = mkdtempSync(join(tmpdir(), "cloze-pair-scorer-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const texts = ["a small cat", "the large dog ran", "cats and dogs", "a star", "the moon and the stars are far away"];
const tokenizer = trainWordPiece(texts, { vocabularySize: 80, minFrequency: 1 });
const config = uniformEncoder({
  vocabularySize: tokenizer.vocabularySize,
  hiddenSize: 16,
  layers: 2,
  heads: 2,
  intermediateSize: 24,
  maxPositions: 32,
  initializerRange: 0.3,
  dropout: 0,
});
const encoder = (seed = 2) => createModel({ architecture: "Model", config, head: { type: "none" }, seed });
const create = (options: PairScorerOptions = {}) =>
  createPairScorer(encoder(), tokenizer, { maxLength: 16, ...options });
const pairs = texts.flatMap((first, i) =>
  texts.map((second, j) => ({ first, second, label: Number((i + j) % 2 === 0) })),
);
const row = (vectors: Float32Array, i: number, width: number) => vectors.subarray(i * width, (i + 1) * width);
const near = (a: ArrayLike<number>, b: ArrayLike<number>, digits = 4) => {
  expect(a.length).toBe(b.length);
  for (let i = 0; i < b.length; i++) expect(a[i]).toBeCloseTo(b[i], digits);
};

describe("a pair scorer", () => {
  test("a text's vector: the mean over its tokens but the first of the last layers' states, whatever stands beside it", () => {
    const scorer = create({ pool: { layers: 2 } });
    const together = scorer.embed(texts);
    expect(scorer.width).toBe(32);
    texts.forEach((text, i) => {
      near(row(together, i, 32), scorer.embed([text]), 5);
      const batch = packSequences([{ ids: scorer.tokenize([text])[0] }]);
      scope(() => {
        const { hiddenStates = [] } = scorer.model.encoder.forward(batch, { hiddenStates: true });
        const states = hiddenStates.slice(1).map((state) => state.toArray() as number[][]);
        const own = states.flatMap((state) =>
          state[0].map((_, c) => state.slice(1).reduce((sum, one) => sum + one[c], 0)),
        );
        near(
          row(together, i, 32),
          own.map((value) => value / (batch.ids.length - 1)),
        );
      });
    });
    scorer.dispose();
  });

  test.each([
    { pool: { tokens: "cls" } },
    { pool: { tokens: "max", how: "mean" } },
    { pool: { tokens: "sum-sqrt", cls: true } },
    { head: { type: "dot" } },
    { head: { type: "mlp", hidden: 7 }, outputs: 3 },
  ] as PairScorerOptions[])(
    "%j: stored vectors score as texts do; ranked as scored; saved and loaded the same",
    (options) => {
      const scorer = create(options);
      const vectors = scorer.embed(texts);
      const { width } = scorer;
      const [u, v] = [scorer.embed(texts.slice(0, 3)), scorer.embed(texts.slice(2, 5))];
      const scores = scorer.score(u, v);
      const outputs = options.outputs ?? 1;
      for (let i = 0; i < 3; i++)
        near(scorer.score(row(vectors, i, width), row(vectors, i + 2, width)), row(scores, i, outputs));
      const ranked = scorer.rank(vectors, vectors, { k: 5 });
      for (const { index, score } of ranked)
        expect(scorer.score(row(vectors, 0, width), row(vectors, index, width))[outputs - 1]).toBeCloseTo(score, 4);
      const all = scorer.scoreAll(u, v);
      for (let i = 0; i < 9; i++) {
        const [one, other] = [row(u, Math.floor(i / 3), width), row(v, i % 3, width)];
        near(row(all, i, outputs), scorer.score(one, other));
      }
      expect(ranked.map(({ score }) => score)).toEqual(ranked.map(({ score }) => score).sort((a, b) => b - a));
      const path = join(folder, JSON.stringify(options).replace(/\W/g, ""));
      scorer.save(path);
      const loaded = loadPairScorer(path);
      expect(loaded.options).toEqual(scorer.options);
      expect(loaded.embed(texts)).toEqual(vectors);
      expect(loaded.score(u, v)).toEqual(scores);
      expect(() => scorer.score(u.subarray(1), v)).toThrow(expect.objectContaining({ code: "DIMENSION_MISMATCH" }));
      scorer.dispose();
      loaded.dispose();
    },
  );

  test("the split head is the head; order changes u and v, not u * v and |u - v|", () => {
    const scorer = create({ head: { type: "mlp", hidden: 9 } });
    const { width, head, options } = scorer;
    scope(() => {
      const of = (list: string[]) => tensor(scorer.embed(list), [list.length, width]);
      const [u, v] = [of(texts.slice(0, 3)), of(texts.slice(1, 4))];
      const whole = pairLogits(u, v, head, options.head);
      const shares: [Tensor, Tensor] = [sideShare(u, head, "first"), sideShare(v, head, "second")];
      near(splitLogits(u, v, shares, head).toTypedArray(), whole.toTypedArray());
      const turned = pairLogits(v, u, head, options.head).toTypedArray();
      expect(Array.from(turned)).not.toEqual(Array.from(whole.toTypedArray()));
      // With both shares zero only the symmetric features are left.
      const none = tensor(new Float32Array(27), [3, 9]);
      near(splitLogits(v, u, [none, none], head).toTypedArray(), splitLogits(u, v, [none, none], head).toTypedArray());
    });
    scorer.dispose();
  });
});

describe("distillation", () => {
  const teacher = createModel({ architecture: "ForSequenceClassification", config, names: ["no", "yes"], seed: 9 });
  test("the teacher's logits: row i belongs to pair i; two become one whose sigmoid is its probability", () => {
    const logits = crossEncoderLogits(teacher, tokenizer, pairs, { tokenBudget: 40 });
    pairs.forEach(({ first, second }, i) => {
      if (i % 4 !== 0) return;
      const { ids, typeIds } = tokenizer.encode(first, { pair: second });
      const batch = packSequences([{ ids, segments: typeIds }]);
      const [[a, b]] = scope(() => (teacher.forward(batch).logits as Tensor).toArray()) as number[][];
      expect(1 / (1 + Math.exp(-logits[i][0]))).toBeCloseTo(Math.exp(b) / (Math.exp(a) + Math.exp(b)), 4);
    });
  });

  test("comes near to the teacher with alpha 1, and needs no label", async () => {
    const unlabelled = pairs.map(({ first, second }) => ({ first, second }));
    const shared = { tokenizer, pairs: unlabelled, maxLength: 16, batchSize: 25, learningRate: 3e-3 };
    const { scorer, run, teacherLogits } = await distillPairScorer({
      ...shared,
      student: encoder(),
      teacher: { model: teacher, tokenizer },
      alpha: 1,
      steps: 120,
    });
    const wanted = (teacherLogits as number[][]).map(([logit]) => logit);
    const mean = wanted.reduce((a, b) => a + b, 0) / wanted.length;
    const spread = wanted.reduce((sum, logit) => sum + (logit - mean) ** 2, 0) / wanted.length;
    expect(run.loss).toBeLessThan(spread / 4);
    scorer.dispose();
  });

  test("a head on two fixed vectors reaches the teacher's logits; a frozen encoder keeps its weights", async () => {
    const student = encoder();
    const before = [...student.parameters.values()].map((value) => value.toTypedArray().slice());
    const { scorer } = await distillPairScorer({
      student,
      tokenizer,
      pairs: [
        { first: "a star", second: "a small cat" },
        { first: "a small cat", second: "a star" },
      ],
      teacher: [[3], [-2]],
      alpha: 1,
      freeze: true,
      head: { type: "mlp", hidden: 8 },
      steps: 200,
      learningRate: 0.03,
      weightDecay: 0,
    });
    expect([...student.parameters.values()].map((value) => value.toTypedArray())).toEqual(before);
    const [u, v] = [scorer.embed(["a star"]), scorer.embed(["a small cat"])];
    expect(scorer.score(u, v)[0]).toBeCloseTo(3, 1);
    expect(scorer.score(v, u)[0]).toBeCloseTo(-2, 1);
    scorer.dispose();
  });

  test("one-hot sentences: the head alone can match any logits exactly", () => {
    const scorer = create({ head: { type: "mlp", hidden: 4 }, outputs: 3 });
    const { width, head, options } = scorer;
    scope(() => {
      const oneHot = (i: number) =>
        tensor(
          Float32Array.from({ length: width }, (_, c) => Number(c === i)),
          [1, width],
        );
      const wanted = tensor([1.5, -4, 2], [1, 3]);
      const optimizer = createAdamW([{ name: "head", parameters: [...head], learningRate: 0.05, weightDecay: 0 }]);
      let loss = Number.POSITIVE_INFINITY;
      for (let i = 0; i < 300; i++) {
        scope(() => {
          const error = sum(square(sub(pairLogits(oneHot(0), oneHot(1), head, options.head), wanted)));
          loss = error.item();
          backward(error);
        });
        optimizer.step(1 - i / 300);
        optimizer.zeroGrad();
      }
      optimizer.dispose();
      expect(loss).toBeLessThan(1e-6);
    });
    scorer.dispose();
  });

  test("a file of logits belongs to its pairs in their order", () => {
    const path = join(folder, "logits.safetensors");
    const logits = pairs.map((_, i) => [Math.fround(i / 3), -i]);
    writePairLogits(path, pairs, logits);
    expect(readPairLogits(path, pairs)).toEqual(logits);
    const swapped = [pairs[1], pairs[0], ...pairs.slice(2)];
    for (const other of [swapped, pairs.slice(1), pairs.map(({ first, second }) => ({ first: second, second: first }))])
      expect(() => readPairLogits(path, other)).toThrow(expect.objectContaining({ code: "PAIR_LOGITS" }));
  });

  test("the loss is (1 - alpha) of the labels' and alpha of the squared error", async () => {
    const logits = pairs.map((_, i) => [Math.sin(i)]);
    const go = async (alpha: number, steps = 1) => {
      const shared = { student: encoder(), tokenizer, pairs, maxLength: 16, batchSize: 25, teacher: logits };
      const { scorer, run } = await distillPairScorer({ ...shared, alpha, steps, learningRate: 0 });
      const u = scorer.embed(pairs.map(({ first }) => first));
      const v = scorer.embed(pairs.map(({ second }) => second));
      const scores = scorer.score(u, v);
      scorer.dispose();
      return { loss: run.loss, scores };
    };
    const { loss: labels, scores } = await go(0);
    const error =
      Array.from(scores, (score, i) => (score - Math.sin(i)) ** 2).reduce((a, b) => a + b, 0) / scores.length;
    const cross = Array.from(scores, (score, i) => Math.log1p(Math.exp(score)) - pairs[i].label * score);
    expect(labels).toBeCloseTo(cross.reduce((a, b) => a + b, 0) / scores.length, 4);
    expect((await go(1)).loss).toBeCloseTo(error, 4);
    expect((await go(0.5)).loss).toBeCloseTo(0.5 * labels + 0.5 * error, 4);
  });

  test("logits that do not fit the pairs are refused", async () => {
    const bad = { student: encoder(), tokenizer, pairs, steps: 1 };
    const code = expect.objectContaining({ code: "LABELS_SHAPE" });
    await expect(distillPairScorer({ ...bad, teacher: [[1]] })).rejects.toThrow(code);
    await expect(distillPairScorer({ ...bad, teacher: pairs.map(() => [1, 2]) })).rejects.toThrow(code);
  });
});
