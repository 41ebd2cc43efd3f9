import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { Command } from "commander";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { uniformEncoder } from "../encoder/config.js";
import { createModel, saveModel } from "../families/index.js";
import { trainWordPiece } from "../text/index.js";
import { newModels } from "../training/new-model.js";
import { addEvaluate } from "./evaluate.js";
import { addFinetune } from "./finetune.js";
import { lineRows } from "./line-rows.js";
import { addPredict } from "./predict.js";

const folder = mkdtempSync(join(tmpdir(), "cloze-finetune-command-"));
const base = join(folder, "base");
const nouns = ["film", "story", "song", "meal", "book", "play"];
const rows = nouns.flatMap((noun) => [
  ...["fine", "great", "lovely"].map((word) => ({ text: `a ${word} ${noun}`, label: "yes" })),
  ...["dull", "poor", "awful"].map((word) => ({ text: `a ${word} ${noun}`, label: "no" })),
]);
const file = (name: string, lines: readonly unknown[]): string => {
  const path = join(folder, name);
  writeFileSync(path, lines.map((line) => JSON.stringify(line)).join("\n"));
  return path;
};
let train: string;
let dev: string;

beforeAll(() => {
  const tokenizer = trainWordPiece(
    rows.map(({ text }) => text),
    { vocabularySize: 120, minFrequency: 1 },
  );
  const config = uniformEncoder({
    vocabularySize: tokenizer.vocabularySize,
    hiddenSize: 16,
    layers: 1,
    heads: 2,
    maxPositions: 16,
    initializerRange: 0.2,
  });
  const model = createModel({ architecture: "Model", config, seed: 3 });
  saveModel(model, base);
  tokenizer.save(base);
  model.dispose();
  train = file("train.jsonl", rows);
  dev = file("dev.jsonl", [...rows.slice(0, 9), { text: "a film", label: "maybe" }]);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(() => vi.restoreAllMocks());

/** What `cloze …` prints on standard output, and on standard error. */
async function cloze(...args: string[]): Promise<{ output: string; notes: string }> {
  const written = { output: "", notes: "" };
  for (const [stream, name] of [
    [process.stdout, "output"],
    [process.stderr, "notes"],
  ] as const) {
    vi.spyOn(stream, "write").mockImplementation((text) => {
      written[name] += text;
      return true;
    });
  }
  const program = new Command().exitOverride();
  for (const add of [addFinetune, addEvaluate, addPredict]) add(program);
  const common = (command: Command): void => {
    command.exitOverride();
    if (command.commands.length === 0) command.option("--json").option("--quiet");
    command.commands.forEach(common);
  };
  program.commands.forEach(common);
  vi.spyOn(process, "argv", "get").mockReturnValue(["node", "cloze", ...args]);
  try {
    await program.parseAsync(args, { from: "user" });
  } finally {
    vi.restoreAllMocks();
  }
  return written;
}

const common = (out: string, ...more: string[]): string[] =>
  ["finetune", "--task", "classification", "--model", base, "--train", train, "--out", out, "--json"].concat(
    ["--epochs", "15", "--batch-size", "6", "--learning-rate", "0.01"],
    more,
  );

describe("cloze finetune", () => {
  const out = join(folder, "run");
  test("leaves a model with its card, scores and pictures; evaluate and predict need nothing more", async () => {
    const { output, notes } = await cloze(...common(out, "--dev", train, "--test", dev));
    const report = JSON.parse(output);
    expect(report.scores.dev.accuracy).toBe(1);
    expect(report.scores.test.accuracy).toBe(0.9);
    expect(notes).toContain("LABEL_UNSEEN: 1 ×");
    const card = readFileSync(join(out, "README.md"), "utf8");
    for (const part of [
      "classification",
      "train.jsonl (36 rows)",
      "| accuracy | 1.0000 | 0.9000 |",
      "cloze finetune --task",
    ])
      expect(card).toContain(part);
    for (const picture of ["loss.svg", "confusion.svg"])
      expect(readFileSync(join(out, picture), "utf8")).toContain("<svg");

    const evaluated = JSON.parse((await cloze("evaluate", "--model", out, "--data", dev, "--json")).output);
    expect(evaluated).toMatchObject({ rows: 10, scores: report.scores.test });
    expect(evaluated.warnings).toMatchObject([{ code: "LABEL_UNSEEN", count: 1 }]);
    expect(JSON.parse(readFileSync(join(out, "scores.json"), "utf8")).warnings).toEqual(evaluated.warnings);
    // Quiet means no progress; what is odd about the data is still said.
    const quiet = await cloze("evaluate", "--model", out, "--data", dev, "--quiet");
    expect(quiet.notes).toMatch(/^LABEL_UNSEEN: 1 × [^\n]*\n$/);
    const predicted = (await cloze("predict", "--model", out, "--data", train)).output.trim().split("\n");
    expect(predicted.map((line) => JSON.parse(line).label)).toEqual(rows.map(({ label }) => label));

    const file = join(folder, "predictions.jsonl");
    vi.spyOn(process, "stdin", "get").mockReturnValue(
      Readable.from(["a great play\n\n", '{"text": "a poor', ' book"}\n']) as typeof process.stdin,
    );
    await cloze("predict", "--model", out, "--out", file);
    const lines = readFileSync(file, "utf8").trim().split("\n");
    expect(lines.map((line) => JSON.parse(line).label)).toEqual(["yes", "no"]);
  });
  test.each(Object.keys(newModels))("makes a %s from nothing, beside a baseline", async (kind) => {
    const made = join(folder, `new-${kind}`);
    const args = ["finetune", "--task", "classification", "--new", kind, "--hidden-size", "12", "--train", train];
    args.push("--test", train, "--baseline", "--out", made, "--json", "--epochs", "20", "--batch-size", "6");
    const { scores } = JSON.parse((await cloze(...args, "--learning-rate", "0.02")).output);
    expect(scores.baseline.accuracy).toBe(1);
    expect(scores.test.accuracy).toBeGreaterThan(0.9);
    const { output } = await cloze("evaluate", "--model", made, "--data", train, "--json");
    expect(JSON.parse(output).scores).toEqual(scores.test);
  });
  test("starts from a model or from nothing, not from both, and from nothing else", async () => {
    const start = ["finetune", "--task", "classification", "--train", train, "--out", join(folder, "none")];
    await expect(cloze(...start)).rejects.toMatchObject({ code: "USAGE_MODEL" });
    await expect(cloze(...start, "--model", base, "--new", "bilstm")).rejects.toMatchObject({ code: "USAGE_MODEL" });
    const width = cloze(...start, "--model", base, "--hidden-size", "8");
    await expect(width).rejects.toMatchObject({ code: "OPTION_CONFLICT" });
    await expect(cloze(...start, "--model", base, "--baseline")).rejects.toMatchObject({ code: "OPTION_CONFLICT" });
  });
  test("is not done again when it is resumed after its end", async () => {
    const before = readFileSync(join(out, "scores.json"), "utf8");
    const { output, notes } = await cloze(...common(out, "--dev", train, "--test", dev, "--resume"));
    expect(notes).toContain("is finished already");
    expect(JSON.parse(output).scores).toEqual({ dev: JSON.parse(before).dev, test: JSON.parse(before).test });
    expect(readFileSync(join(out, "scores.json"), "utf8")).toBe(before);
  });
  test("looks at the rows to score before it trains", async () => {
    const at = join(folder, "unlabelled-test");
    const some = file("unlabelled.jsonl", [...rows, { text: "a film" }]);
    await expect(cloze(...common(at, "--test", some))).rejects.toThrow(/Row 37 has no label/);
    expect(existsSync(join(at, "model.safetensors"))).toBe(false);
  });
  test("runs with several seeds, and on folds", async () => {
    const seeds = JSON.parse((await cloze(...common(join(folder, "seeds"), "--dev", train, "--seeds", "2"))).output);
    expect(seeds.runs).toBe(2);
    const single = ["seed-1", "seed-2"].map(
      (name) => JSON.parse(readFileSync(join(folder, "seeds", name, "scores.json"), "utf8")).dev.accuracy,
    );
    expect(seeds.summary.dev.accuracy.mean).toBeCloseTo((single[0] + single[1]) / 2);
    expect(seeds.summary.dev.accuracy.deviation).toBeCloseTo(Math.abs(single[0] - single[1]) / Math.SQRT2);
    const folds = JSON.parse((await cloze(...common(join(folder, "folds"), "--folds", "3"))).output);
    expect(folds.runs).toBe(3);
    expect(existsSync(join(folder, "folds", "fold-3", "task.json"))).toBe(true);
    await expect(cloze(...common(join(folder, "no"), "--folds", "3", "--dev", dev))).rejects.toThrow(
      expect.objectContaining({ code: "USAGE_FOLDS" }),
    );
  });
  test("refuses options that the task does not have", async () => {
    await expect(cloze(...common(join(folder, "no"), "--set", "stride=4"))).rejects.toThrow(
      expect.objectContaining({ code: "TASK_OPTIONS" }),
    );
  });
});

describe("rows of lines", () => {
  const collect = async (source: AsyncIterable<{ values: unknown }>) => {
    const found: unknown[] = [];
    for await (const { values } of source) found.push(values);
    return found;
  };
  test("can be looked at again until they are released", async () => {
    const source = lineRows(Readable.from(["a\n", '{"b": 1}\n', "c"]), "lines");
    const all = [{ text: "a" }, { b: 1 }, { text: "c" }];
    for await (const { values } of source) {
      expect(values).toEqual(all[0]);
      break;
    }
    expect(await source.columns()).toEqual(["text", "b"]);
    expect(await collect(source)).toEqual(all);
    source.release();
    expect(await collect(source)).toEqual(all);
    expect(await collect(source)).toEqual([]);
  });
  test("that are none", async () => {
    await expect(lineRows(Readable.from([]), "lines").columns()).rejects.toThrow(
      expect.objectContaining({ code: "DATA_EMPTY" }),
    );
    await expect(collect(lineRows(Readable.from(["a\n{b}\n"]), "lines"))).rejects.toThrow(
      expect.objectContaining({ code: "DATA_ROW", message: expect.stringContaining("line 2") }),
    );
  });
});
