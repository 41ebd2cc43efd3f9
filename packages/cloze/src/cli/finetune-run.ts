// One run of `cloze finetune`: its folder gets the model, scores.json, the card and the pictures.
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "@cloze/tensor";
import { createWarnings } from "../data/readers/warnings.js";
import { parseConfig } from "../encoder/registry.js";
import { plannedForward } from "../inference/planned-forward.js";
import { evaluateRows, type Scores, type Task } from "../tasks/index.js";
import { loadTokenizer } from "../text/index.js";
import type { PositionStart } from "../training/change-positions.js";
import { confusionSvg } from "../training/confusion-picture.js";
import { finetune } from "../training/finetune.js";
import { modelCard } from "../training/model-card.js";
import { createNewModel, type NewModelName, newModels } from "../training/new-model.js";
import { type ProgressReporter, warn } from "../training/progress.js";
import type { TrainResult } from "../training/trainer.js";
import type { WarmupShape } from "../training/warmup-shapes.js";
import { type DataOptions, noteWarnings } from "./data-options.js";
import type { CommonOptions } from "./output.js";
import { commandLine } from "./training-options.js";

export interface FinetuneCommandOptions extends CommonOptions, DataOptions {
  task: string;
  model?: string;
  new?: NewModelName;
  tokenizer?: string;
  hiddenSize?: number;
  vocabularySize?: number;
  baseline?: boolean;
  train: string;
  dev?: string;
  test?: string;
  out: string;
  epochs?: number;
  batchSize?: number;
  batchTokens?: number;
  accumulate?: number;
  learningRate?: number;
  weightDecay: number;
  maxLength?: number;
  schedule: WarmupShape;
  warmup: number;
  layerDecay: number;
  freeze?: string[];
  evaluateEvery?: number;
  patience?: number;
  positions?: PositionStart;
  maxRows?: number;
  loraRank?: number;
  recompute?: boolean;
  average?: number;
  set?: Record<string, unknown>;
  allowMismatched?: boolean;
  seed: number;
  seeds: number;
  folds?: number;
  checkpointMinutes: number;
  resume?: boolean;
}

/** A file's rows. */
export interface Rows {
  readonly rows: readonly unknown[];
  readonly path: string;
}

/** What a run leaves behind, as far as a summary needs it. */
export interface RunReport {
  readonly run: Pick<TrainResult, "steps" | "seconds" | "tokensPerSecond" | "loss" | "interrupted">;
  readonly stoppedEarly: boolean;
  /** Values by set: "dev", "test". */
  readonly scores: Readonly<Record<string, Scores["values"]>>;
}

const reportName = "scores.json";

/** The report of a run that was finished by the same command; undefined when there is none. */
function finishedRun(folder: string): RunReport | undefined {
  const path = join(folder, reportName);
  if (!existsSync(path)) return undefined;
  const { command, run, stoppedEarly, dev, test, baseline } = JSON.parse(readFileSync(path, "utf8"));
  if (command !== commandLine()) return undefined;
  return { run, stoppedEarly, scores: { ...(dev && { dev }), ...(test && { test }), ...(baseline && { baseline }) } };
}

const described = ({ rows, path }: Rows): string => `${path} (${rows.length.toLocaleString("en-US")} rows)`;

/** The model that `--new` names, with the defaults that suit it. */
function newModel(task: Task, rows: readonly unknown[], options: FinetuneCommandOptions, seed: number) {
  const name = options.new as NewModelName;
  const asked = parseConfig(task.options, options.set ?? {}, `The options of ${task.name}`, "TASK_OPTIONS");
  const settings = task.prepare(rows, asked, createWarnings());
  const { hiddenSize, vocabularySize } = options;
  const tokenizer = options.tokenizer === undefined ? undefined : loadTokenizer(options.tokenizer);
  const made = createNewModel(name, task, rows, settings, { seed, hiddenSize, vocabularySize, tokenizer });
  return { ...made, defaults: newModels[name].defaults };
}

/**
 * Trains once, or reports what a finished run of the same command has left when it is resumed.
 *
 * @param start the folder of the model; undefined where `--new` makes one
 */
export async function runOnce(
  task: Task,
  start: string | undefined,
  data: { train: Rows; dev?: Rows; test?: Rows },
  options: FinetuneCommandOptions,
  { folder, seed }: { folder: string; seed: number },
  progress: ProgressReporter,
): Promise<RunReport> {
  mkdirSync(folder, { recursive: true });
  const before = options.resume === true ? finishedRun(folder) : undefined;
  if (before !== undefined) {
    progress.note(`${folder} is finished already`);
    return before;
  }
  rmSync(join(folder, reportName), { force: true });
  const { train, dev, test } = data;
  // What could not be scored is found before the training, not after it.
  if (test !== undefined && test.rows.length > 0) task.checkGold?.(test.rows);
  const lora = options.loraRank;
  const made = start === undefined ? newModel(task, train.rows, options, seed) : undefined;
  const result = await finetune<unknown, unknown, unknown>({
    task,
    ...(made ?? { model: start as string }),
    train: train.rows,
    dev: dev?.rows,
    taskOptions: options.set,
    epochs: options.epochs ?? made?.defaults.epochs,
    batchSize: options.batchSize,
    batchTokens: options.batchTokens,
    accumulate: options.accumulate,
    learningRate: options.learningRate ?? made?.defaults.learningRate,
    weightDecay: options.weightDecay,
    maxLength: options.maxLength,
    schedule: options.schedule,
    warmup: options.warmup,
    layerDecay: options.layerDecay,
    freeze: options.freeze,
    evaluateEvery: options.evaluateEvery,
    patience: options.patience,
    allowMismatched: options.allowMismatched,
    positions: options.positions,
    lora: lora === undefined ? undefined : { rank: lora, alpha: 2 * lora },
    recompute: options.recompute,
    average: options.average === undefined ? undefined : { decay: options.average },
    checkpointMinutes: options.checkpointMinutes,
    resume: options.resume,
    folder,
    seed,
    progress,
  });
  const { initialized, model } = result;
  const ofEncoder = initialized.some((name) => name.startsWith("encoder."));
  const line = `Made anew: ${initialized.join(", ")}`;
  if (ofEncoder && start !== undefined) warn(progress, line);
  else if (initialized.length > 0) progress.note(line);
  if (model.unused.length > 0)
    progress.note(
      `${model.unused.length} tensors of the checkpoint have no use here: ${model.unused.slice(0, 5).join(", ")}`,
    );
  noteWarnings(progress, result.warnings);
  const { run, stoppedEarly } = result;
  if (run.interrupted) {
    model.dispose();
    return { run, stoppedEarly, scores: {} };
  }
  const scores: Record<string, Scores> = {};
  const testWarnings = createWarnings();
  if (result.devScores !== undefined) scores.dev = result.devScores;
  if (test !== undefined) {
    const planned = plannedForward(model);
    const tested = { ...result, forward: planned.forward };
    ({ scores: scores.test } = await evaluateRows(tested, test.rows, { warnings: testWarnings }));
    planned.close();
    noteWarnings(progress, testWarnings.list());
  }
  const compared = test ?? dev;
  if (options.baseline === true && compared !== undefined)
    scores.baseline = task.baseline?.(train.rows, compared.rows, result.settings, createWarnings()) as Scores;
  const values = Object.fromEntries(Object.entries(scores).map(([set, { values: each }]) => [set, each]));
  const confusion = scores.test?.confusion ?? scores.dev?.confusion;
  if (confusion !== undefined) writeFileAtomic(join(folder, "confusion.svg"), confusionSvg(confusion));
  const { names } = result.settings as { names?: readonly string[] };
  const card = modelCard({
    task: task.name,
    base: options.model ?? `${options.new}, from nothing`,
    labels: names,
    data: {
      train: described(train),
      ...(dev === undefined ? {} : { dev: described(dev) }),
      ...(test === undefined ? {} : { test: described(test) }),
    },
    scores: values,
    settings: result.used,
    warnings: [...result.warnings, ...testWarnings.list()].map(
      ({ message, count }) => `${count.toLocaleString("en-US")} × ${message}`,
    ),
    command: commandLine(),
    seed,
  });
  writeFileAtomic(join(folder, "README.md"), card);
  const { evaluations, used: settings } = result;
  const warnings = [...result.warnings, ...testWarnings.list()];
  const report = { command: commandLine(), run, stoppedEarly, ...values, evaluations, settings, initialized, warnings };
  // Last: it says that the run is finished.
  writeFileAtomic(join(folder, reportName), `${JSON.stringify(report, null, 2)}\n`);
  model.dispose();
  return { run, stoppedEarly, scores: values };
}
