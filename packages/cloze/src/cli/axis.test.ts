// cloze axis, probe and generate on small models.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runCommand } from "../../test/run-command.js";
import { moral, moralDirection } from "../embedding/axis/index.js";
import { createEmbedder } from "../embedding/embedder.js";
import { saveEmbedder } from "../embedding/sentence-transformers.js";
import { uniformEncoder } from "../encoder/config.js";
import { withDirection } from "../encoder/direction.js";
import { createModel, saveModel } from "../families/index.js";
import { trainWordLevel, trainWordPiece } from "../text/index.js";
import { addAxis } from "./axis.js";
import { addGenerate } from "./generate.js";
import { addProbe } from "./probe.js";

const encoder = fileURLToPath(new URL("../../test/fixtures/embedders/encoder", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "cloze-axis-commands-"));
const path = (name: string) => join(folder, name);
const code = (wanted: string) => expect.objectContaining({ code: wanted });
const phrases = ["a small cat", "the large dog", "cats and dogs", "the moon is far away", "a star"];

const small = (vocabularySize: number) =>
  uniformEncoder({ vocabularySize, hiddenSize: 16, layers: 1, heads: 2, maxPositions: 32 });

interface Scored {
  phrases: { text: string; score: number; baseline?: number }[];
  pearson?: { score: number; baseline?: number };
}

beforeAll(() => {
  writeFileSync(path("phrases.txt"), `${phrases.join("\n")}\n`);
  writeFileSync(path("templates.txt"), "Should I see {}?\nMay I see {}?\n");
  writeFileSync(path("study.tsv"), ["action\tscore", ...phrases.map((text, i) => `${text}\t${i / 4}`), ""].join("\n"));
  const words = trainWordLevel([...moral.phrases, ...(moralDirection.templates ?? [])], { vocabularySize: 200 });
  const embedder = createEmbedder(
    createModel({ architecture: "Model", config: small(words.vocabularySize), head: { type: "none" } }),
    words,
  );
  saveEmbedder(embedder, path("encoder"));
  embedder.dispose();
  const tokenizer = trainWordPiece(phrases, { vocabularySize: 60, minFrequency: 1 });
  const config = small(tokenizer.vocabularySize);
  const decoder = createModel({ architecture: "LMHeadModel", config: withDirection(config, "causal") });
  saveModel(decoder, path("decoder"));
  tokenizer.save(path("decoder"));
  const masked = createModel({ architecture: "ForMaskedLM", config });
  saveModel(masked, path("masked"));
  tokenizer.save(path("masked"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("the preset, saved beside its encoder, which scoring finds by itself", async () => {
  const made = await runCommand<Scored & { explainedVariance: number[]; separation: number }>(
    addAxis,
    ...["axis", "--model", path("encoder"), "--out", path("encoder/moral.json"), "--components", "3"],
  );
  expect(made.explainedVariance).toHaveLength(3);
  expect(made.separation).toBeGreaterThanOrEqual(0);
  expect(made.phrases).toHaveLength(moral.phrases.length);
  expect(made.phrases.map(({ score }) => score)).toEqual(made.phrases.map(({ score }) => score).sort((a, b) => b - a));
  const { phrases: scored } = await runCommand<Scored>(
    addProbe,
    ...["probe", "--axis", path("encoder/moral.json"), "--text", "kill people", "smile"],
  );
  expect(scored.map(({ text }) => text)).toEqual(["kill people", "smile"]);
  expect(Math.abs(scored[0].score)).toBeCloseTo(1, 5);
  expect(scored[1].score).toBeCloseTo(made.phrases.find(({ text }) => text === "smile")?.score ?? 0, 10);
});

test("phrases of one's own, a table, a question, the baseline, and correlations", async () => {
  const own = ["--phrases", path("phrases.txt"), "--templates", path("templates.txt"), "--components", "2"];
  const fit = ["axis", "--model", encoder, "--out", path("own.json"), ...own];
  await expect(runCommand(addAxis, ...fit)).rejects.toThrow(code("AXIS_PHRASES"));
  const made = await runCommand<Scored & { separation?: number }>(addAxis, ...fit, "--orient-by", "a star");
  expect(made.separation).toBeUndefined();
  expect(Math.max(...made.phrases.map(({ score }) => Math.abs(score)))).toBeCloseTo(1, 10);
  const probe = ["probe", path("study.tsv"), "--axis", path("own.json")];
  await expect(runCommand(addProbe, ...probe)).rejects.toThrow(code("AXIS_ENCODER"));
  const all = ["--model", encoder, "--compare", "score", "--baseline", "moral"];
  const { phrases: scored, pearson } = await runCommand<Scored>(addProbe, ...probe, ...all);
  expect(scored.map(({ text }) => text)).toEqual(phrases);
  for (const value of [pearson?.score, pearson?.baseline]) expect(Math.abs(value ?? 9)).toBeLessThanOrEqual(1);
  for (const { baseline } of scored) expect(Math.abs(baseline ?? 9)).toBeLessThanOrEqual(2);
  const lines = ["probe", path("phrases.txt"), "--axis", path("own.json"), "--model", encoder];
  const raw = await runCommand<Scored>(addProbe, ...lines, "--form", "raw", "--question", "May I see {}?");
  const first = await runCommand<Scored>(addProbe, ...lines, "--form", "raw");
  raw.phrases.forEach(({ score }, i) => {
    const { score: both } = scored[i];
    expect((score + first.phrases[i].score) / 2).toBeCloseTo(both, 10);
  });
  const cut = await runCommand<{ counts: object }>(addProbe, ...lines.toSpliced(1, 1), "--text", "a cat ".repeat(99));
  expect(cut.counts).toMatchObject({ truncatedTexts: 2 });
  await expect(runCommand(addProbe, ...lines, "--compare", "score")).rejects.toThrow(code("DATA_COLUMN_MISSING"));
  await expect(runCommand(addProbe, ...probe, "--model", encoder, "--compare", "action")).rejects.toThrow(
    code("DATA_COLUMN_MISSING"),
  );
});

test("texts, each with a seed of its own, and with an axis as a filter", async () => {
  const how = ["generate", "--model", path("decoder"), "--prompt", "the large", "--max-new-tokens", "4"];
  const plain = await runCommand<{ text: string; ids: number[] }[]>(
    addGenerate,
    ...how,
    "--samples",
    "3",
    "--seed",
    "5",
  );
  expect(plain).toHaveLength(3);
  for (const { text } of plain) expect(text.startsWith("the large")).toBe(true);
  const second = await runCommand<{ text: string }[]>(addGenerate, ...how, "--seed", "6");
  expect(second).toEqual([plain[1]]);
  const beams = [...how, "--beams", "3", "--length-penalty", "0.5"];
  const found = await runCommand<{ text: string; score: number }[]>(addGenerate, ...beams, "--samples", "2");
  expect(found).toHaveLength(2);
  expect(found[0].score).toBeGreaterThanOrEqual(found[1].score);
  expect(await runCommand(addGenerate, ...beams)).toEqual(found.slice(0, 1));
  for (const wrong of [
    ["--samples", "4"],
    ["--temperature", "2"],
  ])
    await expect(runCommand(addGenerate, ...beams, ...wrong)).rejects.toThrow(code("INVALID_OPTION"));
  const filter = [...how, "--seed", "5", "--top-k", "8", "--filter", path("own.json")];
  await expect(runCommand(addGenerate, ...filter)).rejects.toThrow(code("AXIS_ENCODER"));
  const wide = [...filter, "--filter-model", encoder];
  expect(await runCommand(addGenerate, ...wide, "--threshold", "-Infinity")).toEqual(
    await runCommand(addGenerate, ...how, "--seed", "5", "--top-k", "8"),
  );
  expect(await runCommand(addGenerate, ...wide, "--threshold", "9", "--keep-min", "1")).toHaveLength(1);
  await expect(runCommand(addGenerate, "generate", "--model", path("masked"))).rejects.toThrow(code("HEAD_MISMATCH"));
});
