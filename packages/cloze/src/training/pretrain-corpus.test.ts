// Pre-training on a corpus of any size: resumed runs, held-out loss, and what measures a run before and along the way.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildCorpus, type Corpus } from "../data/corpus/index.js";
import { uniformEncoder } from "../encoder/config.js";
import { createModel, type Model } from "../families/index.js";
import { taskOf } from "../tasks/index.js";
import { trainWordPiece } from "../text/index.js";
import { findLearningRate, learningRateSvg } from "./learning-rate-test.js";
import { type PretrainOptions, pretrain } from "./pretrain.js";
import { probe } from "./probe.js";
import { estimateRun } from "./run-estimate.js";

const folder = mkdtempSync(join(tmpdir(), "cloze-pretrain-corpus-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const nouns = ["cat", "dog", "bird", "rain", "tree", "roof"];
const verbs = ["sees", "hears", "likes", "follows"];
const sentences = Array.from({ length: 120 }, (_, i) => {
  const [a, b, c] = [nouns[i % 6], verbs[(i * 7) % 4], nouns[(i * 5 + 1) % 6]];
  return `the ${a} ${b} the ${c} and the ${nouns[(i * 11) % 6]}`;
});
const tokenizer = trainWordPiece(sentences, { vocabularySize: 60, minFrequency: 1 });
let corpus: Corpus;
beforeAll(async () => {
  const sources = [join(folder, "a.txt"), join(folder, "b.txt")];
  writeFileSync(
    sources[0],
    sentences
      .slice(0, 100)
      .map((line, i) => `${line} ${i}`)
      .join("\n"),
  );
  writeFileSync(sources[1], sentences.slice(100).join("\n"));
  ({ corpus } = await buildCorpus({
    sources,
    tokenizer,
    folder: join(folder, "corpus"),
    validationShare: 0.1,
    workers: 0,
  }));
});

const create = (seed = 1): Model =>
  createModel({
    architecture: "ForMaskedLM",
    config: uniformEncoder({
      vocabularySize: tokenizer.vocabularySize,
      hiddenSize: 16,
      layers: 1,
      heads: 2,
      maxPositions: 16,
    }),
    seed,
  });
const weights = (model: Model): number[][] =>
  [...model.parameters.values()].map((value) => Array.from(value.toTypedArray() as Float32Array));
const options: PretrainOptions = { batchTokens: 60, learningRate: 3e-3, seed: 2 };

test.each([
  ["plain", {}],
  ["mixed", { weights: [0.3, 0.7] }],
  ["over documents", { crossDocuments: true, maxLength: 8 }],
])("a resumed run equals one that was not interrupted: %s", async (name, more) => {
  const whole = create();
  const first = await pretrain(whole, tokenizer, corpus, { ...options, ...more, steps: 9 });
  const out = join(folder, `run-${name}`);
  const parts = create();
  const shared = { ...options, ...more, steps: 9, folder: out };
  const stopped = await pretrain(parts, tokenizer, corpus, { ...shared, shouldStop: (step) => step === 4 });
  expect(stopped.interrupted).toBe(true);
  const other = create(5);
  const rest = await pretrain(other, tokenizer, corpus, { ...shared, resume: true });
  expect(rest.steps).toBe(9);
  expect(first.steps).toBe(9);
  expect(weights(other)).toEqual(weights(whole));
  for (const model of [whole, parts, other]) model.dispose();
});

describe("along the way", () => {
  test("the loss on held-out documents falls, is the same for the same weights, and does not change the run", async () => {
    const [measured, plain] = [create(), create()];
    const out = join(folder, "validated");
    const { validation } = await pretrain(measured, tokenizer, corpus, {
      ...options,
      steps: 40,
      validateEvery: 10,
      folder: out,
    });
    await pretrain(plain, tokenizer, corpus, { ...options, steps: 40 });
    expect(validation.map(({ step }) => step)).toEqual([10, 20, 30, 40]);
    expect(validation[3].loss).toBeLessThan(validation[0].loss);
    expect(weights(measured)).toEqual(weights(plain));
    const lines = readFileSync(join(out, "validation.jsonl"), "utf8").trim().split("\n");
    expect(lines.map((line) => JSON.parse(line))).toEqual(validation);
    expect(existsSync(join(out, "validation.svg"))).toBe(true);
    // The last weights once more, from the finished checkpoint.
    const again = await pretrain(create(9), tokenizer, corpus, {
      ...options,
      steps: 40,
      validateEvery: 7,
      folder: out,
      resume: true,
    });
    expect(again.validation.at(-1)).toEqual(validation[3]);
    for (const model of [measured, plain]) model.dispose();
  });

  test("a probe fine-tunes a copy", async () => {
    const model = create();
    const before = weights(model);
    const rows = nouns.flatMap((noun, i) =>
      verbs.map((verb) => ({ text: `${noun} ${verb}`, label: i < 3 ? "a" : "b", row: 1 })),
    );
    const task = taskOf("classification");
    const { score, values } = await probe(model, tokenizer, {
      task,
      train: rows,
      dev: rows,
      epochs: 30,
      learningRate: 1e-2,
      maxLength: 8,
    });
    expect(score).toBeGreaterThan(0.9);
    expect(values.accuracy).toBe(score);
    expect(weights(model)).toEqual(before);
    model.dispose();
  });
});

describe("before the run", () => {
  test("an estimate by the run's own steps leaves the model as it is", () => {
    const model = create();
    const before = weights(model);
    const estimate = estimateRun(model, tokenizer, corpus, { ...options, steps: 1000, accumulate: 2 });
    expect(weights(model)).toEqual(before);
    expect(estimate.steps).toBe(1000);
    expect(estimate.seconds).toBeCloseTo(1000 * estimate.secondsPerStep, 9);
    expect(estimate.tokensPerStep).toBeGreaterThan(60);
    expect(estimate.tokensPerStep).toBeLessThanOrEqual(120);
    expect(estimate.residentBytes).toBeGreaterThan(1e7);
    const minutes = estimateRun(model, tokenizer, corpus, { ...options, minutes: 2 });
    expect(minutes.seconds).toBeCloseTo(120, -1);
    model.dispose();
  });

  test("a learning-rate test finds the valley of the losses, and leaves the model as it is", () => {
    const model = create();
    const before = weights(model);
    const found = findLearningRate(model, tokenizer, corpus, { ...options, testSteps: 80, lowest: 1e-5, highest: 10 });
    expect(weights(model)).toEqual(before);
    expect(found.suggestion).toBeGreaterThan(1e-4);
    expect(found.suggestion).toBeLessThan(1);
    const least = found.points.reduce((a, b) => (b.smooth < a.smooth ? b : a));
    expect(least.smooth).toBeLessThan(found.points[0].smooth - 0.5);
    // Far beyond the valley the loss is above it again.
    expect(found.points.at(-1)?.smooth).toBeGreaterThan(least.smooth);
    expect(learningRateSvg(found)).toContain(`${found.suggestion} is suggested`);
    model.dispose();
  });
});
