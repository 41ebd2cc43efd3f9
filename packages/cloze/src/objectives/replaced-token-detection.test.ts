// ELECTRA's objective against its equations.
import {
  backward,
  binaryCrossEntropy,
  copyInto,
  crossEntropy,
  full,
  mean,
  scope,
  softmax,
  type Tensor,
  tensor,
  zeros,
} from "@cloze/tensor";
import { afterEach, describe, expect, test } from "vitest";
import { packSequences } from "../data/packed-batch.js";
import { randomSource } from "../data/random-source.js";
import { type EncoderConfig, uniformEncoder } from "../encoder/config.js";
import { deriveSeed } from "../encoder/seeds.js";
import { createModel, type Model } from "../families/index.js";
import { type ChosenBatch, createGenerator, generatorEncoder } from "./generator/generator.js";
import { sampleRows } from "./generator/sample.js";
import { createObjective, parseObjective } from "./index.js";
import { copyLoss } from "./replaced-language.js";
import { replacedLabels } from "./replaced-token-detection.js";

const vocabulary = {
  maskId: 4,
  clsId: 2,
  sepId: 3,
  vocabularySize: 40,
  specialIds: new Set([0, 2, 3, 4]),
  isContinuation: () => false,
};
const random = randomSource(9);
const batch = packSequences(
  Array.from({ length: 6 }, () => ({
    ids: [2, ...Array.from({ length: 14 }, () => 5 + Math.floor(random() * 35)), 3],
  })),
);
const encoderOf = (size?: number): EncoderConfig =>
  uniformEncoder({
    vocabularySize: 40,
    hiddenSize: 16,
    layers: 2,
    heads: 4,
    maxPositions: 24,
    dropout: 0,
    embeddings: { size, dropout: 0 },
  });

const made: { dispose(): void }[] = [];
afterEach(() => {
  for (const item of made.splice(0)) item.dispose();
});
const keep = <T extends { dispose(): void }>(item: T): T => {
  made.push(item);
  return item;
};

function setup(options: object = {}, size?: number, architecture = "ForReplacedTokenDetection", type = "rtd") {
  const model: Model = keep(createModel({ architecture, config: encoderOf(size), seed: 2 }));
  const frame = { model, vocabulary, maxLength: 24, batchTokens: 96, seed: 5 };
  const config = parseObjective({ type, rate: 0.3, ...options });
  const objective = keep(createObjective(config, frame));
  const chosen = objective.prepare!(batch, randomSource(1)) as ChosenBatch;
  return { model, frame, config, objective, chosen };
}
const context = { seed: 77, step: 0 };
const gradientsOf = (parameters: Iterable<readonly [string, Tensor]>) =>
  new Map(
    [...parameters].map(([name, { grad }]) => [name, grad === undefined ? undefined : Array.from(grad.toTypedArray())]),
  );

test("a label is 1 only where a chosen token became another one", () => {
  const { chosen } = setup();
  const sampled = chosen.targets.map((id, i) => (i % 2 === 0 ? id : (id + 1) % 40));
  const labels = replacedLabels(chosen, sampled, "all");
  const rows = new Map(Array.from(chosen.rows, (row, i) => [row, i]));
  labels.forEach((label, row) => {
    const i = rows.get(row);
    expect(label).toBe(i === undefined ? 0 : i % 2);
  });
  const few = replacedLabels(chosen, sampled, "chosen");
  few.forEach((label, row) => {
    expect(label).toBe(rows.has(row) ? labels[row] : -100);
  });
});

test("a generator that knows the truth leaves nothing to detect: cross-entropy against zeros", () => {
  const { model, chosen } = setup();
  const certain = new Float32Array(chosen.rows.length * 40);
  chosen.targets.forEach((id, i) => {
    certain[i * 40 + id] = 1e9;
  });
  const sampled = sampleRows(tensor(certain, [chosen.rows.length, 40]), randomSource(3));
  expect(sampled).toEqual(chosen.targets);
  const labels = replacedLabels(chosen, sampled, "all");
  expect(labels.every((label) => label === 0)).toBe(true);
  scope(() => {
    const { logits, loss } = model.forward(batch, { labels });
    const zero = binaryCrossEntropy(logits as Tensor, zeros((logits as Tensor).shape));
    expect(loss?.item()).toBeCloseTo(zero.item(), 6);
  });
});

test("what the model reads is the original off the chosen tokens, and has no [MASK]", () => {
  const { frame, config, chosen } = setup();
  const generator = keep(createGenerator("g", config as Parameters<typeof createGenerator>[1], frame));
  scope(() => {
    const proposal = generator.propose(chosen, context);
    const rows = new Set(chosen.rows);
    expect(proposal.batch.ids.includes(4)).toBe(false);
    proposal.batch.ids.forEach((id, row) => {
      if (!rows.has(row)) expect(id).toBe(batch.ids[row]);
    });
    expect(Array.from(chosen.rows, (row) => proposal.batch.ids[row])).toEqual(Array.from(proposal.sampled));
  });
});

test("the detection loss gives the generator's own weights no gradient", () => {
  const gradients = [0, 50].map((discriminatorWeight) => {
    const { objective, chosen } = setup({ discriminatorWeight });
    scope(() => backward(objective.loss(chosen, context)));
    return gradientsOf(objective.parameters);
  });
  expect([...gradients[0].values()].some((gradient) => gradient?.some((value) => value !== 0))).toBe(true);
  expect(gradients[1]).toEqual(gradients[0]);
});

test("embeddings are the model's own; a generator as wide as they are has no projection", () => {
  const { model, objective } = setup();
  expect([...objective.parameters.keys()].filter((name) => name.includes("embeddings"))).toEqual([
    "replaced-token-detection.generator.encoder.embeddings.projection.weight",
    "replaced-token-detection.generator.encoder.embeddings.projection.bias",
  ]);
  const wide = setup({ generatorWidth: 1 });
  expect([...wide.objective.parameters.keys()].some((name) => name.includes("projection"))).toBe(false);
  const untied = setup({ sharing: "none" }).objective.parameters;
  expect(untied.has("replaced-token-detection.generator.encoder.embeddings.word.weight")).toBe(true);
  expect(new Set([...model.parameters.values(), ...objective.parameters.values()]).size).toBe(
    model.parameters.size + objective.parameters.size,
  );
});

test("without detection the loss is that of masked words", () => {
  const { frame, config, objective, chosen } = setup({ discriminatorWeight: 0 });
  const generator = keep(
    createGenerator("replaced-token-detection.generator", config as Parameters<typeof createGenerator>[1], frame),
  );
  scope(() => {
    const { hidden } = generator.encoder.forward(chosen.batch, { training: true, seed: deriveSeed(77, "generator") });
    const plain = generator.head.maskedLanguageLoss(hidden, chosen.rows, chosen.targets);
    expect(objective.loss(chosen, context).item()).toBeCloseTo(plain.item(), 6);
  });
});

test("padded ids do not matter to the detection loss", () => {
  const { model } = setup();
  const padded = (id: number) => ({
    ...packSequences([{ ids: [2, 7, 8, 9, 3, id, id] }, { ids: [2, 10, 11, 3, id, id, id] }]),
    visible: Int32Array.of(5, 4),
  });
  const labels = Int32Array.of(0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0);
  const losses = [0, 30].map((id) => scope(() => model.forward(padded(id), { labels }).loss?.item()));
  expect(losses[0]).toBe(losses[1]);
});

test("a generator that knows nothing replaces at random, with all ids alike", () => {
  const rows = 20000;
  const drawn = sampleRows(full([rows, 8], 0.3), randomSource(4));
  const counts = new Array(8).fill(0);
  for (const id of drawn) counts[id]++;
  // Chi-square with 7 degrees of freedom: above 24.3 once in a thousand.
  const chi = counts.reduce((sum, count) => sum + (count - rows / 8) ** 2 / (rows / 8), 0);
  expect(chi).toBeLessThan(24.3);
});

test("draws follow the softmax at its temperature", () => {
  const logits = tensor(
    Float32Array.from({ length: 3 * 30000 }, (_, i) => [0, 1, 2][i % 3]),
    [30000, 3],
  );
  for (const temperature of [1, 2]) {
    const drawn = sampleRows(logits, randomSource(4), temperature);
    const weights = [0, 1, 2].map((x) => Math.exp(x / temperature));
    const total = weights.reduce((a, b) => a + b);
    weights.forEach((weight, c) => {
      expect(drawn.filter((id) => id === c).length / 30000).toBeCloseTo(weight / total, 1.7);
    });
  }
});

test.each([
  [1, undefined],
  [63, 62],
  [64, 0],
  [130, 129],
  [200, 70],
])(
  "of %i classes that one is drawn where the sum of the chances so far passes the drawn number; never %s",
  (classes, never) => {
    const rows = 500;
    const numbers = randomSource(classes);
    const logits = tensor(
      // Few classes are likely, and most next to impossible: blocks of zeros too.
      Float32Array.from({ length: rows * classes }, () => (numbers() < 0.05 ? 3 * numbers() : -200 * numbers())),
      [rows, classes],
    );
    const drawn = sampleRows(logits, randomSource(4), 1, never);
    const again = randomSource(4);
    const chances = scope(() => softmax(logits).toTypedArray());
    drawn.forEach((id, row) => {
      const own = Array.from(chances.subarray(row * classes, (row + 1) * classes), (p, c) => (c === never ? 0 : p));
      const wanted = again() * own.reduce((a, b) => a + b, 0);
      const before = own.slice(0, id).reduce((a, b) => a + b, 0);
      expect(own[id]).toBeGreaterThan(0);
      expect(before).toBeLessThanOrEqual(wanted + 1e-5);
      expect(before + own[id]).toBeGreaterThanOrEqual(wanted - 1e-5);
    });
    logits.dispose();
  },
);

describe("the generator's shape", () => {
  test("keeps the size of heads and the depth, and shrinks the rest", () => {
    const config = uniformEncoder({ vocabularySize: 40, hiddenSize: 256, layers: 12, heads: 4 });
    const small = generatorEncoder(config, { ...(parseObjective({ type: "rtd" }) as never as object) } as never);
    expect(small).toMatchObject({ hiddenSize: 64, embeddings: { size: 256 } });
    expect(small.layers).toHaveLength(12);
    expect(small.layers[0]).toMatchObject({ mixer: { heads: 1 }, channel: { intermediateSize: 256 } });
  });
  test("wider or deeper than the encoder is refused", () => {
    expect(() => parseObjective({ type: "rtd", generatorWidth: 1.5 })).toThrow(/generatorWidth/);
    expect(() => setup({ generatorLayers: 3 })).toThrow(/more layers/);
  });
});

test("behind a copy gate the loss is the formula's", () => {
  const gate = tensor([1, -2]);
  const logits = tensor([
    [0.5, 1, -1],
    [2, 0, 1],
  ]);
  const chance = (row: number[], id: number) =>
    Math.exp(row[id]) / row.reduce((sum, value) => sum + Math.exp(value), 0);
  const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
  const first = sigmoid(1) + (1 - sigmoid(1)) * chance([0.5, 1, -1], 1);
  const second = (1 - sigmoid(-2)) * chance([2, 0, 1], 2);
  const loss = scope(() => {
    const { of, beside = [] } = copyLoss(gate, Int32Array.of(1, 2), Int32Array.of(1, 0));
    return mean(of(crossEntropy(logits, tensor(Int32Array.of(1, 2)), { reduction: "none" }), ...beside)).item();
  });
  expect(loss).toBeCloseTo(-(Math.log(first) + Math.log(second)) / 2, 5);
});

test.each(["replace-mlm", "all-tokens-mlm"])("%s trains the model's own head", (type) => {
  const { model, objective, chosen } = setup({}, undefined, "ForMaskedLM", type);
  scope(() => backward(objective.loss(chosen, context)));
  expect(model.parameters.get("head.transform.weight")?.grad).toBeDefined();
  expect(objective.flops(chosen)).toBeGreaterThan(0);
});

test("copyInto of a zero head makes a uniform generator: masked loss is log of the vocabulary", () => {
  const { objective, chosen } = setup({ discriminatorWeight: 0 });
  for (const [name, value] of objective.parameters) if (name.includes(".head.")) copyInto(value, zeros(value.shape));
  expect(scope(() => objective.loss(chosen, context).item())).toBeCloseTo(Math.log(40), 5);
});
