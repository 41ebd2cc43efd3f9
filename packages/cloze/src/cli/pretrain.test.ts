import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { writtenStreams } from "../../test/written-streams.js";
import { loadModel } from "../families/index.js";
import { rankJoint } from "../retrieval/rerank/joint-ranker.js";
import { loadJointRanker } from "../retrieval/rerank/joint-ranker-folder.js";
import { trainWordPiece } from "../text/index.js";
import { addPretrain } from "./pretrain.js";
import { pretrainingPreset } from "./pretraining-presets.js";

const folder = mkdtempSync(join(tmpdir(), "cloze-pretrain-command-"));
const texts = join(folder, "texts");
const tokenizer = join(folder, "tokenizer");
const path = (name: string): string => join(folder, name);
const lines = Array.from(
  { length: 60 },
  (_, i) => `the ${["cat", "dog", "bird"][i % 3]} sees ${i} trees and ${i * 7} roofs`,
);

beforeAll(() => {
  mkdirSync(texts);
  writeFileSync(join(texts, "a.txt"), lines.slice(0, 30).join("\n"));
  writeFileSync(
    join(texts, "b.jsonl"),
    lines
      .slice(30)
      .map((text) => JSON.stringify({ text }))
      .join("\n"),
  );
  writeFileSync(join(texts, "picture.png"), Buffer.from([0x89, 0, 0, 1, 2]));
  trainWordPiece(lines, { vocabularySize: 80, minFrequency: 1 }).save(tokenizer);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(() => vi.restoreAllMocks());

/** What `cloze pretrain …` prints on standard output, and on standard error. */
async function pretrain(...args: string[]): Promise<{ output: string; notes: string }> {
  const written = writtenStreams();
  const program = new Command().exitOverride().option("--quiet");
  addPretrain(program);
  for (const command of program.commands) command.option("--json").option("--quiet");
  const common = ["--max-length", "16", "--batch-tokens", "64", "--workers", "0"];
  await program.parseAsync(["pretrain", ...args, ...common], { from: "user" });
  return written;
}

test("--v-cycle trains through smaller copies, and says what does not go with it", async () => {
  const common = [texts, "--tokenizer", tokenizer, "--out", path("v-cycle"), "--size", "tiny", "--quiet", "--json"];
  const { output } = await pretrain(...common, "--v-cycle", "--steps", "4", "--learning-rate", "1e-3");
  const { stages, steps } = JSON.parse(output);
  expect(stages.map(({ phase, steps: count }: { phase: string; steps: number }) => [phase, count])).toEqual([
    ["initial", 1],
    ["small", 2],
    ["final", 4],
  ]);
  expect(stages[1].flops / 2).toBeLessThan(stages[0].flops);
  expect(steps).toBe(4);
  const model = loadModel(path("v-cycle"));
  expect(model.config.layers.length).toBe(2);
  model.dispose();
  vi.restoreAllMocks();
  const estimate = JSON.parse((await pretrain(...common, "--v-cycle", "2", "--steps", "40", "--dry-run")).output);
  expect(estimate.steps).toBe(40 + 2 + 20);
  vi.restoreAllMocks();
  await expect(pretrain(...common, "--v-cycle", "--minutes", "1")).rejects.toThrow(/does not go with --minutes/);
  await expect(pretrain(...common, "--v-cycle", "5", "--steps", "4")).rejects.toThrow(/no smaller or larger copy/);
});

test("a folder of texts, JSON lines and a picture; held-out loss and a probe along the way", async () => {
  const rows = lines
    .slice(0, 12)
    .map((text, i) => `${JSON.stringify({ text, label: ["cat", "dog", "bird"][i % 3] })}\n`);
  writeFileSync(path("rows.jsonl"), rows.join(""));
  const { output, notes } = await pretrain(
    ...[texts, "--tokenizer", tokenizer, "--size", "tiny", "--steps", "6", "--out", path("run"), "--json"],
    ...["--validation-share", "0.1", "--validate-every", "3", "--probe-every", "4", "--probe-epochs", "1"],
    ...["--probe", `classification:${path("rows.jsonl")}:${path("rows.jsonl")}`],
  );
  expect(notes).toContain("CORPUS_BINARY_FILE: 1 ×");
  expect(notes).toMatch(/about \d+ s, \d+ MB; --dry-run stops here/);
  const result = JSON.parse(output);
  expect(result).toMatchObject({ steps: 6, interrupted: false });
  expect(result.validation.map(({ step }: { step: number }) => step)).toEqual([3, 6]);
  expect(result.probes).toMatchObject([
    { step: 4, task: "classification" },
    { step: 6, task: "classification" },
  ]);
  expect(
    readFileSync(join(path("run"), "probes.jsonl"), "utf8")
      .trim()
      .split("\n").length,
  ).toBe(2);
  loadModel(path("run")).dispose();
});

test("--objective mp3 wants --positions none, and fine-tuning gives the model new ones", async () => {
  const common = [texts, "--tokenizer", tokenizer, "--size", "tiny", "--steps", "2", "--quiet", "--json"];
  const asked = [...common, "--objective", "mp3", "--set", "positions=8", "--out", path("mp3")];
  await expect(pretrain(...asked)).rejects.toMatchObject({
    code: "OBJECTIVE_COMBINATION",
    received: "embeddings (positions: learned)",
  });
  vi.restoreAllMocks();
  await pretrain(...asked, "--positions", "none");
  const bag = loadModel(path("mp3"));
  expect(bag.parameters.has("encoder.embeddings.position.weight")).toBe(false);
  vi.restoreAllMocks();
  // Going on with another objective, it gets positions that begin at 0.
  await pretrain(
    ...common.filter((one) => !["--size", "tiny"].includes(one)),
    "--model",
    path("mp3"),
    "--positions",
    "zero",
    "--out",
    path("placed"),
  );
  const placed = loadModel(path("placed"));
  expect(placed.parameters.get("encoder.embeddings.position.weight")?.shape).toEqual([16, 128]);
  for (const model of [bag, placed]) model.dispose();
});

describe("before the run", () => {
  test("--dry-run says how long, and trains nothing", async () => {
    const out = path("dry");
    const { output } = await pretrain(
      texts,
      "--tokenizer",
      tokenizer,
      "--size",
      "tiny",
      "--steps",
      "5000",
      "--out",
      out,
      "--dry-run",
    );
    expect(output).toMatch(/^about .*(s|min), \d+ MB; 5000 steps\n$/);
    expect(readdirSync(out)).toEqual(["corpus"]);
  });

  test("--find-learning-rate draws a picture", async () => {
    const out = path("rate");
    const { output } = await pretrain(
      texts,
      "--tokenizer",
      tokenizer,
      "--size",
      "tiny",
      "--out",
      out,
      "--find-learning-rate",
      "--json",
    );
    const { suggestion, points, picture } = JSON.parse(output);
    expect(suggestion).toBeGreaterThan(0);
    expect(points.length).toBeGreaterThan(10);
    expect(readFileSync(picture, "utf8")).toContain("<svg");
    expect(existsSync(join(out, "model.safetensors"))).toBe(false);
  });
});

describe("presets", () => {
  test.each(["bert", "roberta", "modernbert"])("%s trains and is saved as its model type", async (name) => {
    const out = path(`preset-${name}`);
    await pretrain(
      texts,
      "--tokenizer",
      tokenizer,
      "--preset",
      `${name}-tiny`,
      "--steps",
      "2",
      "--out",
      out,
      "--quiet",
    );
    expect(JSON.parse(readFileSync(join(out, "config.json"), "utf8")).model_type).toBe(name);
    loadModel(out).dispose();
  });

  test("the paper's sizes and rates stand behind the names", () => {
    const { model, learningRate, objective } = pretrainingPreset("modernbert");
    const { config } = model({ vocabularySize: 100, padId: 0, maxLength: 64 });
    expect([config.hiddenSize, config.layers.length, learningRate, objective.rate]).toEqual([768, 12, 8e-4, 0.3]);
    expect(pretrainingPreset("roberta").training).toMatchObject({ beta2: 0.98, crossDocuments: true });
    for (const wrong of ["gpt", "bert-huge", "bert-", "toString", "bert-constructor"]) {
      expect(() => pretrainingPreset(wrong)).toThrow(expect.objectContaining({ code: "PRESET_UNKNOWN" }));
    }
  });

  test("a preset and a size contradict each other", async () => {
    const both = pretrain(
      texts,
      "--tokenizer",
      tokenizer,
      "--preset",
      "bert",
      "--size",
      "tiny",
      "--steps",
      "1",
      "--out",
      path("both"),
    );
    await expect(both).rejects.toMatchObject({ code: "OPTION_CONFLICT" });
  });
});

test("a corpus that changed since the checkpoint is refused, and the checkpoint still opens", async () => {
  const source = path("changing.txt");
  writeFileSync(source, lines.join("\n"));
  const run = [source, "--tokenizer", tokenizer, "--size", "tiny", "--out", path("changed"), "--quiet"];
  await pretrain(...run, "--steps", "2");
  writeFileSync(source, [...lines, "one more line"].join("\n"));
  await expect(pretrain(...run, "--steps", "2", "--resume")).rejects.toMatchObject({ code: "CORPUS_CHANGED" });
  loadModel(path("changed")).dispose();
  writeFileSync(source, lines.join("\n"));
  await pretrain(...run, "--steps", "2", "--resume");
});

test("corpora of one line and of one repeated sentence train, with a warning", async () => {
  writeFileSync(path("one.txt"), lines[0]);
  writeFileSync(path("same.txt"), `${lines[0]}\n`.repeat(50));
  for (const [name, code] of [
    ["one", "CORPUS_NO_VALIDATION"],
    ["same", "CORPUS_REPEATED: 49"],
  ]) {
    const { notes } = await pretrain(
      path(`${name}.txt`),
      "--tokenizer",
      tokenizer,
      "--size",
      "tiny",
      "--steps",
      "2",
      "--out",
      path(name),
    );
    expect(notes).toContain(code);
    loadModel(path(name)).dispose();
  }
});

describe("objectives that read paragraphs", () => {
  const sentences = (d: number, p: number) =>
    [0, 1, 2].map((s) => `The ${["cat", "dog", "bird"][(d + s) % 3]} of house ${d} sees ${p} trees and ${s} roofs.`);
  const document = (d: number) => [0, 1].map((p) => sentences(d, p).join(" ")).join("\n\n");
  const file = path("documents.txt");
  const common = ["--tokenizer", tokenizer, "--size", "tiny", "--steps", "2", "--quiet", "--json"];
  beforeAll(() => writeFileSync(file, Array.from({ length: 20 }, (_, d) => document(d)).join("\n\n\n")));

  test("a joint model wants a segment for each text; its folder ranks", async () => {
    const args = [file, ...common, "--out", path("joint"), "--objective", "mspp", "--set", "candidates=2"];
    const blocks = ["--set", "blockTokens=5"];
    await expect(pretrain(...args)).rejects.toMatchObject({ code: "OBJECTIVE_COMBINATION" });
    await expect(pretrain(...args, ...blocks)).rejects.toMatchObject({
      code: "OBJECTIVE_COMBINATION",
      remedy: expect.stringContaining("--segments 3"),
    });
    const { output } = await pretrain(...args, ...blocks, "--segments", "3");
    expect(JSON.parse(output).validation).toHaveLength(2);
    const ranker = loadJointRanker(path("joint"));
    expect(ranker.options).toMatchObject({ candidates: 2, blockTokens: 5 });
    const texts = ["the cat", "a dog", "trees"];
    const ranked = rankJoint(ranker, "the cat sees", texts);
    expect(ranked.map(({ text }) => text).sort()).toEqual([...texts].sort());
    ranker.dispose();
  });

  test("a corpus that changed, and weights, are refused by name", async () => {
    const args = [file, ...common, "--out", path("ssp"), "--objective", "ssp"];
    await pretrain(...args);
    writeFileSync(file, `${readFileSync(file, "utf8")}\n\n\n${document(30)}`);
    await expect(pretrain(...args, "--resume")).rejects.toMatchObject({ code: "CORPUS_CHANGED" });
    expect(loadModel(path("ssp")).config.layers.length).toBeGreaterThan(0);
    await expect(pretrain(...args, "--weights", "1")).rejects.toMatchObject({ code: "OPTION_CONFLICT" });
  });
});

test.each(["0", "1"])("a masking rate of %s has a code", async (rate) => {
  const args = [texts, "--tokenizer", tokenizer, "--steps", "1", "--out", path("rate"), "--masking-rate", rate];
  await expect(pretrain(...args)).rejects.toMatchObject({ code: "OBJECTIVE_OPTIONS" });
});
