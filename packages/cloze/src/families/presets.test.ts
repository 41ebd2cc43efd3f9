// Recurrent, convolutional and bag encoders under a classifier, on a task in which only order matters.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { backward, createAdamW, memory, noGrad, scope } from "@cloze/tensor";
import { describe, expect, test } from "vitest";
import { packSequences } from "../data/packed-batch.js";
import { randomSource } from "../data/random-source.js";
import type { EncoderConfig } from "../encoder/config.js";
import { bagEncoder, convolutionalEncoder, recurrentEncoder } from "../encoder/presets.js";
import { trainWordLevel } from "../text/index.js";
import { createModel, loadModel, type Model, saveModel } from "./index.js";

const sizes = { vocabularySize: 12, hiddenSize: 24, dropout: 0 };
const [a, b] = [10, 11];

/** Each text holds a and b once, up to `gap` fillers between them; its class is which comes first. */
function examples(count: number, gap: number, seed: number) {
  const random = randomSource(seed);
  const below = (limit: number) => Math.floor(random() * limit);
  const fillers = (length: number) => Array.from({ length }, () => 1 + below(9));
  const labels = new Int32Array(count);
  const sequences = Array.from({ length: count }, (_, i) => {
    labels[i] = below(2);
    const [first, second] = labels[i] === 1 ? [a, b] : [b, a];
    return { ids: [...fillers(below(4)), first, ...fillers(below(gap + 1)), second, ...fillers(below(4))] };
  });
  return { batch: packSequences(sequences), labels };
}

function accuracy(model: Model, gap: number): number {
  const { batch, labels } = examples(200, gap, 99);
  return scope(() => {
    const { logits } = noGrad(() => model.forward(batch));
    const values = logits?.toTypedArray() ?? [];
    return labels.filter((label, i) => Number(values[2 * i + 1] > values[2 * i]) === label).length / labels.length;
  });
}

/** Share of 200 new texts that the trained model gets right. */
function learn(config: EncoderConfig, pooling: "first" | "last" | "mean" | "max", gap: number, steps = 150): number {
  const model = createModel({ architecture: "ForSequenceClassification", config, pooling, pooler: null, dropout: 0 });
  const optimizer = createAdamW([{ name: "all", parameters: model.parameters, learningRate: 0.01 }]);
  for (let step = 0; step < steps; step++) {
    const { batch, labels } = examples(32, gap, step);
    scope(() => backward(model.forward(batch, { labels, training: true, seed: step }).loss as never));
    optimizer.step();
    optimizer.zeroGrad();
  }
  const result = accuracy(model, gap);
  optimizer.dispose();
  model.dispose();
  return result;
}

describe("a before b", () => {
  test.each([
    ["BiLSTM", recurrentEncoder(sizes), "max"],
    ["two layers of BiGRU", recurrentEncoder({ ...sizes, cell: "gru", layers: 2 }), "mean"],
    ["LSTM", recurrentEncoder({ ...sizes, bidirectional: false }), "last"],
  ] as const)("%s learns it at a distance", (_, config, pooling) => {
    expect(learn(config, pooling, 3)).toBeGreaterThan(0.97);
  });

  test("TextCNN learns it within its kernels", () => {
    expect(learn(convolutionalEncoder(sizes), "max", 2)).toBeGreaterThan(0.97);
  });

  test("a bag of words cannot; with bigrams it can where the two stand side by side", () => {
    expect(learn(bagEncoder(sizes), "mean", 0)).toBeLessThan(0.65);
    expect(learn(bagEncoder({ ...sizes, ngrams: [2], buckets: 1000 }), "mean", 0)).toBeGreaterThan(0.97);
  });
});

test("a character CNN is TextCNN over characters: it learns a suffix of words that it never saw", () => {
  const random = randomSource(5);
  const word = (ending: string) =>
    Array.from({ length: 3 + Math.floor(random() * 4) }, () => "abdeginou"[Math.floor(random() * 9)]).join("") + ending;
  const rows = (count: number) => {
    const labels = Int32Array.from({ length: count }, () => Number(random() < 0.5));
    return { labels, texts: Array.from(labels, (label) => `${word("")} ${word(label === 1 ? "ing" : "gni")} now`) };
  };
  const tokenizer = trainWordLevel(rows(50).texts, { unit: "characters" });
  const config = convolutionalEncoder({ ...sizes, vocabularySize: tokenizer.vocabularySize, kernels: [3, 4] });
  const fields = { pooling: "max", pooler: null, dropout: 0 } as const;
  const model = createModel({ architecture: "ForSequenceClassification", config, ...fields });
  const optimizer = createAdamW([{ name: "all", parameters: model.parameters, learningRate: 0.01 }]);
  const pack = (texts: readonly string[]) =>
    packSequences(texts.map((text) => ({ ids: Array.from(tokenizer.encodeIds(text)) })));
  for (let step = 0; step < 120; step++) {
    const { texts, labels } = rows(32);
    scope(() => backward(model.forward(pack(texts), { labels, training: true, seed: step }).loss as never));
    optimizer.step();
    optimizer.zeroGrad();
  }
  const { texts, labels } = rows(200);
  const logits = scope(() => noGrad(() => model.forward(pack(texts)).logits?.toTypedArray() ?? []));
  const right = labels.filter((label, i) => Number(logits[2 * i + 1] > logits[2 * i]) === label).length;
  expect(right).toBeGreaterThan(180);
  optimizer.dispose();
  model.dispose();
});

test.each([
  ["a BiGRU", recurrentEncoder({ ...sizes, cell: "gru" }), "max"],
  ["a TextCNN", convolutionalEncoder(sizes), "max"],
  ["a bag of n-grams", bagEncoder({ ...sizes, ngrams: [2], buckets: 100 }), "mean"],
] as const)("%s saves and loads as any model", (_, config, pooling) => {
  const folder = mkdtempSync(join(tmpdir(), "cloze-presets-"));
  try {
    const { batch } = examples(4, 2, 1);
    const read = (model: Model) => {
      const values = scope(() => noGrad(() => model.forward(batch).logits?.toTypedArray()));
      model.dispose();
      return values;
    };
    const model = createModel({ architecture: "ForSequenceClassification", config, pooling, pooler: null });
    saveModel(model, folder);
    expect(read(loadModel(folder))).toEqual(read(model));
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("training steps leave nothing behind", () => {
  const before = memory.stats().liveBytes;
  learn(recurrentEncoder(sizes), "max", 3, 3);
  learn(convolutionalEncoder(sizes), "max", 3, 3);
  learn(bagEncoder({ ...sizes, ngrams: [2, 3] }), "mean", 3, 3);
  expect(memory.stats().liveBytes).toBe(before);
});
