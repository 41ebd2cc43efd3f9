import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createAdamW, linear, meanSquaredError, memory, mul, parameter, type Tensor, tensor } from "@cloze/tensor";
import { afterEach, beforeEach, expect, test } from "vitest";
import { shuffledBatches } from "../data/batch-source.js";
import { randomSource } from "../data/random-source.js";
import { findCheckpoint } from "./checkpoint.js";
import { silentProgress } from "./progress.js";
import { type TrainOptions, train, warmupConstantDecay, warmupLinear } from "./trainer.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "cloze-trainer-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A linear model of 5 inputs that learns y = 2 x0 - x3. */
function setup(overrides: Partial<TrainOptions<Int32Array>> = {}) {
  const random = randomSource(3);
  const rows = Array.from({ length: 64 }, () => Array.from({ length: 5 }, () => random() * 2 - 1));
  const weight = parameter(tensor([[0.1, 0.2, 0.3, 0.4, 0.5]]));
  const parameters = new Map<string, Tensor>([["weight", weight]]);
  const optimizer = createAdamW([{ name: "all", parameters, learningRate: 0.05 }]);
  const options: TrainOptions<Int32Array> = {
    parameters,
    optimizer,
    source: shuffledBatches(rows.length, 8, 1, (positions) => positions),
    loss(batch, { seed }) {
      const x = tensor(Array.from(batch, (i) => rows[i].map((value) => value + (seed % 7) * 1e-4)));
      const y = tensor(Array.from(batch, (i) => [2 * rows[i][0] - rows[i][3]]));
      return meanSquaredError(linear(x, weight), y);
    },
    tokens: (batch) => batch.length,
    steps: 60,
    folder,
    checkpointMinutes: 0,
    ...overrides,
  };
  return { options, weight };
}

test("learns, logs, draws, and ends with a checkpoint", async () => {
  const { options } = setup();
  const result = await train(options);
  expect(result.steps).toBe(60);
  expect(result.interrupted).toBe(false);
  expect(result.tokensPerSecond).toBeGreaterThan(0);
  const lines = readFileSync(join(folder, "log.jsonl"), "utf8").trim().split("\n");
  expect(lines).toHaveLength(60);
  expect(JSON.parse(lines[59]).loss).toBeLessThan(JSON.parse(lines[0]).loss / 4);
  expect(JSON.parse(lines[59])).toMatchObject({ step: 60, learningRate: expect.any(Number), loss: expect.any(Number) });
  expect(readFileSync(join(folder, "loss.svg"), "utf8")).toContain("<svg");
  expect(findCheckpoint(folder)).toBe(join(folder, "checkpoint-60"));
});

test("a speed in tokens is not said where batches have none to count", async () => {
  const result = await train(setup({ tokens: undefined, steps: 2, folder: undefined }).options);
  expect(result.steps).toBe(2);
  expect(result).not.toHaveProperty("tokensPerSecond");
});

test("a run that stopped and went on equals one that did not, bit for bit", async () => {
  const whole = setup({ folder: join(folder, "whole"), accumulate: 2 });
  await train(whole.options);
  const first = setup({ folder: join(folder, "parts"), accumulate: 2, shouldStop: (step) => step === 23 });
  expect((await train(first.options)).interrupted).toBe(true);
  const second = setup({ folder: join(folder, "parts"), accumulate: 2, resume: true });
  const result = await train(second.options);
  expect(result.steps).toBe(60);
  expect(second.weight.toTypedArray()).toEqual(whole.weight.toTypedArray());
  const log = (name: string) =>
    readFileSync(join(folder, name, "log.jsonl"), "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line).loss);
  expect(log("parts")).toEqual(log("whole"));
});

test("accumulated batches equal the mean of their gradients", async () => {
  const large = setup({ folder: undefined, steps: 1, source: shuffledBatches(64, 64, 1, (p) => p.slice().sort()) });
  await train({ ...large.options, loss: (batch) => large.options.loss(batch, { step: 0, seed: 0 }) });
  const parts = setup({ folder: undefined, steps: 1, accumulate: 8 });
  await train({ ...parts.options, loss: (batch) => parts.options.loss(batch, { step: 0, seed: 0 }) });
  const [a, b] = [large.weight.toTypedArray(), parts.weight.toTypedArray()];
  a.forEach((value, i) => {
    expect(b[i]).toBeCloseTo(value, 6);
  });
});

test("a loss that is no number stops the run, saves the batch, keeps the last checkpoint", async () => {
  const before = setup({ steps: 10 });
  await train(before.options);
  const { options } = setup({ resume: true, steps: 20 });
  const broken = train({
    ...options,
    loss: (batch, context) =>
      context.step === 12 ? mul(options.loss(batch, context) as Tensor, Number.NaN) : options.loss(batch, context),
  });
  await expect(broken).rejects.toMatchObject({ code: "TRAINING_DIVERGED" });
  const report = JSON.parse(readFileSync(join(folder, "diverged-step-12.json"), "utf8"));
  expect(report.batch).toHaveLength(8);
  expect(findCheckpoint(folder)).toBe(join(folder, "checkpoint-10"));
});

test("an exploding loss stops the run", async () => {
  const { options } = setup();
  const run = train({
    ...options,
    loss: (batch, context) => mul(options.loss(batch, context) as Tensor, context.step > 30 ? 1e6 : 1),
  });
  await expect(run).rejects.toMatchObject({ code: "TRAINING_DIVERGED" });
});

test("a checkpoint of other settings is refused", async () => {
  await train(setup({ steps: 5, settings: { batch: 8 } }).options);
  const other = setup({ steps: 9, settings: { batch: 16 }, resume: true });
  await expect(train(other.options)).rejects.toMatchObject({ code: "CHECKPOINT_MISMATCH" });
});

test("nothing to resume is said, and where there is a checkpoint that it is gone on with", async () => {
  const notes: string[] = [];
  const progress = { ...silentProgress, note: (line: string) => void notes.push(line) };
  for (const steps of [3, 5]) await train(setup({ steps, resume: true, progress }).options);
  expect(notes).toEqual([expect.stringMatching(/^Nothing to resume/), expect.stringMatching(/^Resumed at step 3/)]);
});

test("what a killed save left behind does not hide the checkpoint before it", async () => {
  await train(setup({ steps: 5 }).options);
  // A process that died while writing: a temporary folder, and a pointer cut short.
  writeFileSync(join(folder, "latest.json"), '{"checkp');
  writeFileSync(join(folder, ".checkpoint-9.123"), "");
  expect(findCheckpoint(folder)).toBe(join(folder, "checkpoint-5"));
  const result = await train(setup({ steps: 8, resume: true }).options);
  expect(result.steps).toBe(8);
  expect(readdirSync(folder).filter((name) => name.includes("checkpoint"))).toEqual(["checkpoint-8"]);
});

test("minutes end a run too, and live memory does not grow", async () => {
  const { options } = setup({ steps: undefined, minutes: 0.002, folder: undefined });
  const start = memory.stats().liveBytes;
  const result = await train(options);
  expect(result.steps).toBeGreaterThan(3);
  const state = options.optimizer.state();
  const held = [...state.values()].reduce((sum, { size }) => sum + 4 * size, 0) + 4 * 5;
  expect(memory.stats().liveBytes - start).toBeLessThanOrEqual(held);
  expect(existsSync(join(folder, "log.jsonl"))).toBe(false);
});

test("a run without an end is refused", async () => {
  await expect(train(setup({ steps: undefined }).options)).rejects.toMatchObject({ code: "TRAINING_LENGTH" });
});

test("schedules rise, and fall to 0", () => {
  const linearly = warmupLinear(0.1);
  expect(linearly(0)).toBeLessThan(0.02);
  expect(linearly(0.1)).toBe(1);
  expect(linearly(0.55)).toBeCloseTo(0.5);
  expect(linearly(1)).toBe(0);
  const trapezoid = warmupConstantDecay(0.1, 0.2);
  expect([0.5, 0.8, 0.9, 1].map(trapezoid)).toEqual([1, expect.closeTo(1), expect.closeTo(0.5), 0]);
});
