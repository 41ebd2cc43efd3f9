import { join } from "node:path";
import { writeFileAtomic } from "@cloze/tensor";
import { type Command, Option } from "commander";
import { foldRows, type ReadTaskRowsOptions } from "../data/readers/index.js";
import { ClozeError } from "../errors.js";
import { summarizeSeeds } from "../metrics/seed-summary.js";
import { type Task, taskOf, tasks } from "../tasks/index.js";
import { positionStarts } from "../training/change-positions.js";
import { newModels } from "../training/new-model.js";
import { formatDuration, type ProgressReporter } from "../training/progress.js";
import { warmupShapes } from "../training/warmup-shapes.js";
import { flagOf, numberBetween, setting, wholeNumber } from "./arguments.js";
import { noteGuesses, noteWarnings, readOptionsOf, withDataOptions } from "./data-options.js";
import { type FinetuneCommandOptions, type Rows, type RunReport, runOnce } from "./finetune-run.js";
import { modelArgument, modelFolder, tokenizerPath } from "./model-argument.js";
import { formatTable, printResult, progressFor } from "./output.js";
import { resumeCommand } from "./training-options.js";

const patterns = (text: string, before: string[] = []): string[] => [...before, ...text.split(",")];

const taskOptionsHelp = (): string =>
  tasks
    .flatMap(({ name, options }) =>
      Object.entries(options.shape).map(
        ([option, schema]) => `  ${name}: ${option}  ${(schema as { description?: string }).description ?? ""}`,
      ),
    )
    .join("\n");

const newModelsHelp = (): string =>
  Object.entries(newModels)
    .map(([name, { description }]) => `  ${name}  ${description}`)
    .join("\n");

/** All rows of a file; says what was guessed and what was odd. */
async function readRows(
  task: Task,
  path: string,
  options: ReadTaskRowsOptions,
  progress: ProgressReporter,
  most = Number.POSITIVE_INFINITY,
): Promise<Rows> {
  const source = await task.read(path, options);
  noteGuesses(progress, source);
  const rows: unknown[] = [];
  for await (const row of source) {
    rows.push(row);
    if (rows.length >= most) break;
  }
  noteWarnings(progress, source.warnings.list());
  return { rows, path };
}

const scoreTable = (scores: RunReport["scores"]): string => {
  const sets = Object.keys(scores);
  const names = [...new Set(sets.flatMap((set) => Object.keys(scores[set])))].filter((name) => !name.includes("."));
  return formatTable([
    ["", ...sets],
    ...names.map((name) => [name, ...sets.map((set) => scores[set][name]?.toFixed(4) ?? "")]),
  ]);
};

/** The mean and the deviation of each score over runs. */
function summarize(
  runs: readonly RunReport["scores"][],
): Record<string, Record<string, { mean: number; deviation: number }>> {
  const sets = Object.keys(runs[0] ?? {});
  return Object.fromEntries(
    sets.map((set) => [
      set,
      Object.fromEntries(
        Object.keys(runs[0][set]).map((name) => {
          const { mean, standardDeviation } = summarizeSeeds(runs.map((run) => run[set][name]));
          return [name, { mean, deviation: standardDeviation }];
        }),
      ),
    ]),
  );
}

/** Throws unless the options say in one way what to start from, and ask for no comparison that cannot be made. */
function checkStart(options: FinetuneCommandOptions, task: Task): void {
  if ((options.model === undefined) === (options.new === undefined)) {
    throw new ClozeError("USAGE_MODEL", "A run starts from a model, or from nothing", {
      expected: "either --model or --new",
      received: options.model === undefined ? "neither" : "both",
      remedy: "cloze finetune --help lists the encoders that --new makes.",
    });
  }
  const unused = (["tokenizer", "hiddenSize", "vocabularySize"] as const).find((name) => options[name] !== undefined);
  if (options.new === undefined && unused !== undefined) {
    throw new ClozeError("OPTION_CONFLICT", `${flagOf(unused)} goes with --new`, {
      remedy: "A --model has its own.",
    });
  }
  if (options.baseline !== true) return;
  if (task.baseline === undefined || (options.test ?? options.dev ?? options.folds) === undefined) {
    throw new ClozeError("OPTION_CONFLICT", "--baseline needs a task that has one, and rows to score it on", {
      expected: "--task classification, with --test, --dev or --folds",
      received: `--task ${task.name}`,
    });
  }
}

/** `cloze finetune` */
export function addFinetune(program: Command): void {
  const command = program
    .command("finetune")
    .description("fine-tune a model for a task on labelled data")
    .addOption(
      new Option("--task <task>", "what to learn").choices(tasks.map(({ name }) => name)).makeOptionMandatory(),
    )
    .option(`--model ${modelArgument}`, "the model to start from")
    .addOption(
      new Option("--new <encoder>", "start from nothing instead, with words learnt from the training rows").choices(
        Object.keys(newModels),
      ),
    )
    .option("--tokenizer <folder|id>", "with --new: this tokenizer instead of one learnt from the rows")
    .option("--hidden-size <width>", "with --new: its width (default: the encoder's)", wholeNumber(2))
    .option(
      "--vocabulary-size <count>",
      "with --new: entries of its vocabulary, at most (default: 30522)",
      wholeNumber(8),
    )
    .option(
      "--baseline",
      "beside the scores, those of TF-IDF and logistic regression on the same rows (classification)",
    )
    .requiredOption("--train <file>", "training rows")
    .option("--dev <file>", "rows that decide which weights are kept, when to stop, and thresholds")
    .option("--test <file>", "rows to score the finished model on")
    .requiredOption("--out <folder>", "the run's folder, and the model at the end")
    .option("--epochs <count>", "times that every row is seen (default: the task's)", numberBetween(0.01))
    .option("--batch-size <rows>", "rows of a batch (default: the task's)", wholeNumber())
    .option("--batch-tokens <tokens>", "tokens of a batch, instead of rows", wholeNumber(8))
    .option("--accumulate <batches>", "batches whose gradients are averaged for a step", wholeNumber())
    .option("--learning-rate <rate>", "highest learning rate (default: the task's)", numberBetween(0))
    .option("--weight-decay <rate>", "decay of matrices", numberBetween(0), 0.01)
    .option("--max-length <tokens>", "longest sequence (default: the task's)", wholeNumber(8))
    .addOption(
      new Option("--schedule <shape>", "of the learning rate after its warm-up")
        .choices(warmupShapes)
        .default("linear"),
    )
    .option("--warmup <share>", "share of the steps over which the learning rate rises", numberBetween(0, 1), 0.1)
    .option(
      "--layer-decay <factor>",
      "each layer learns this much slower than the one above it",
      numberBetween(0, 1),
      1,
    )
    .option("--freeze <patterns>", "parameters that keep their values: encoder.embeddings.*", patterns)
    .option(
      "--evaluate-every <steps>",
      "steps between evaluations on the dev rows (default: once an epoch)",
      wholeNumber(),
    )
    .option("--patience <evaluations>", "stop after so many evaluations without improvement", wholeNumber())
    .addOption(
      new Option(
        "--positions <start>",
        "the model gets new positions in its embeddings, or none (default: it keeps its own)",
      ).choices(positionStarts),
    )
    .option("--lora-rank <rank>", "train adapters of this rank instead of all weights (LoRA)", wholeNumber())
    .option(
      "--average <decay>",
      "the result is an exponential average of the weights, such as 0.999",
      numberBetween(0, 1),
    )
    .option("--recompute", "keep less in memory, and compute layers again in the backward pass")
    .option("--set <name=value>", "an option of the task, see below; may be repeated", setting)
    .option("--allow-mismatched", "a classifier for other labels, and weights that do not fit, are made anew")
    .option("--max-rows <count>", "use the first so many training rows", wholeNumber())
    .option("--seed <number>", "decides every random choice", wholeNumber(0), 1)
    .option("--seeds <count>", "runs that differ in their seed; scores with mean and deviation", wholeNumber(), 1)
    .option("--folds <count>", "cross-validation on the training rows instead of dev rows", wholeNumber(2))
    .option("--checkpoint-minutes <minutes>", "time between checkpoints", numberBetween(0), 5)
    .option("--resume", "go on from the newest checkpoint in --out")
    .addHelpText(
      "after",
      () => `\nEncoders of --new:\n${newModelsHelp()}\n\nOptions of tasks (--set name=value):\n${taskOptionsHelp()}`,
    );
  withDataOptions(command).action(async (options: FinetuneCommandOptions) => {
    if (options.folds !== undefined && options.dev !== undefined) {
      throw new ClozeError("USAGE_FOLDS", "Folds take their dev rows from the training rows", {
        remedy: "Leave --dev out, or --folds.",
      });
    }
    const progress = progressFor(options);
    const task = taskOf(options.task);
    checkStart(options, task);
    const start = options.model === undefined ? undefined : await modelFolder(options.model, options);
    if (options.tokenizer !== undefined) options.tokenizer = await tokenizerPath(options.tokenizer, options);
    const reading = readOptionsOf(options);
    const read = (path: string | undefined, most?: number) =>
      path === undefined ? undefined : readRows(task, path, reading, progress, most);
    const train = (await read(options.train, options.maxRows)) as Rows;
    const [dev, test] = [await read(options.dev), await read(options.test)];
    const splits =
      options.folds === undefined
        ? [{ train, dev, name: "" }]
        : foldRows(train.rows, options.folds, { seed: options.seed, stratifyBy: task.stratum }).map((split, fold) => ({
            train: { rows: split.train, path: `${train.path}, fold ${fold + 1}` },
            dev: { rows: split.dev, path: `${train.path}, fold ${fold + 1}` },
            name: `fold-${fold + 1}`,
          }));
    const several = splits.length * options.seeds > 1;
    const runs: RunReport["scores"][] = [];
    let last: RunReport | undefined;
    for (const split of splits) {
      for (let i = 0; i < options.seeds; i++) {
        const seed = options.seed + i;
        const name = [split.name, options.seeds > 1 ? `seed-${seed}` : ""].filter((part) => part !== "").join("-");
        const folder = several ? join(options.out, name) : options.out;
        if (several) progress.note(`Run ${runs.length + 1} of ${splits.length * options.seeds}: ${folder}`);
        last = await runOnce(task, start, { ...split, test }, options, { folder, seed }, progress);
        const { run, scores } = last;
        if (run.interrupted) {
          process.exitCode = 130;
          const resume = resumeCommand();
          printResult(
            options,
            { interrupted: true, steps: run.steps, resume },
            () => `Stopped at step ${run.steps}\nGo on with: ${resume}`,
          );
          return;
        }
        runs.push(scores);
      }
    }
    const summary = several ? summarize(runs) : undefined;
    if (summary !== undefined)
      writeFileAtomic(
        join(options.out, "summary.json"),
        `${JSON.stringify({ runs: runs.length, summary }, null, 2)}\n`,
      );
    const { run, stoppedEarly } = last as RunReport;
    const report = {
      model: options.out,
      steps: run.steps,
      seconds: run.seconds,
      tokensPerSecond: run.tokensPerSecond,
      loss: run.loss,
      stoppedEarly,
      scores: runs[0],
      ...(summary === undefined ? {} : { runs: runs.length, summary }),
      peakResidentBytes: process.resourceUsage().maxRSS * 1024,
    };
    printResult(options, report, () =>
      [
        summary === undefined
          ? scoreTable(runs[0])
          : Object.entries(summary)
              .flatMap(([set, scores]) =>
                Object.entries(scores)
                  .filter(([name]) => !name.includes("."))
                  .map(([name, { mean, deviation }]) => `${set} ${name}: ${mean.toFixed(4)} ± ${deviation.toFixed(4)}`),
              )
              .join("\n"),
        `${run.steps} steps in ${formatDuration(run.seconds)}; the model is in ${options.out}`,
      ].join("\n"),
    );
  });
}
