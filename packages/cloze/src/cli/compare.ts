import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { collectRows } from "../data/readers/index.js";
import { ClozeError } from "../errors.js";
import { taskOf } from "../tasks/index.js";
import { type ComparedModel, type CompareTask, compareModels } from "../training/compare.js";
import { formatBytes, formatCount, type ProgressReporter } from "../training/progress.js";
import { numberBetween, wholeNumber } from "./arguments.js";
import { noteGuesses } from "./data-options.js";
import { modelFolder } from "./model-argument.js";
import { type CommonOptions, formatTable, printResult, progressFor } from "./output.js";

interface CompareCommandOptions extends CommonOptions {
  models: string[];
  tasks: string[];
  seeds: number;
  data?: string;
  epochs?: number;
  learningRate?: number;
  maxLength?: number;
  maxRows?: number;
}

/** Data sets by the names that people know, as they lie in a folder of data: task, training rows, dev rows. */
const known: Readonly<Record<string, readonly [task: string, train: string, dev: string]>> = {
  sst2: ["classification", "train", "dev"],
  mrpc: ["classification", "train", "test"],
  rte: ["classification", "train", "dev"],
  cola: ["classification", "train", "dev_in"],
  trec: ["classification", "train", "test"],
  agnews: ["classification", "train", "test"],
  stsb: ["regression", "train", "dev"],
  conll2003: ["token-classification", "train", "dev"],
  squad: ["question-answering", "train", "dev"],
};
const endings = [
  ".tsv",
  ".tsv.gz",
  ".conll",
  ".conll.gz",
  ".jsonl",
  ".jsonl.gz",
  ".json",
  ".json.gz",
  ".csv",
  ".csv.gz",
];

const list = (text: string): string[] => text.split(",").filter((part) => part !== "");

/** The files of a task: named in full, or of a set that lies in the data folder. */
function filesOf(spec: string, folder: string | undefined): { name: string; task: string; train: string; dev: string } {
  const [task, train, dev] = spec.split(":");
  if (dev !== undefined) return { name: `${task} (${train})`, task, train, dev };
  const found = Object.hasOwn(known, spec) ? known[spec] : undefined;
  const missing = (received: string): ClozeError =>
    new ClozeError("COMPARE_TASK", `The task ${spec} has no data here`, {
      expected: `task:train:dev, or one of ${Object.keys(known).join(", ")} with its files in --data`,
      received,
      remedy: "As in --tasks classification:train.csv:dev.csv.",
    });
  if (found === undefined) throw missing("another name");
  if (folder === undefined) throw missing("no --data folder");
  const path = (name: string): string => {
    const file = endings.map((ending) => join(folder, spec, `${name}${ending}`)).find((one) => existsSync(one));
    if (file === undefined) throw missing(`no file ${join(folder, spec, name)}.*`);
    return file;
  };
  return { name: spec, task: found[0], train: path(found[1]), dev: path(found[2]) };
}

async function readTask(
  spec: string,
  { data, maxRows }: CompareCommandOptions,
  progress: ProgressReporter,
): Promise<CompareTask> {
  const { name, task: taskName, train, dev } = filesOf(spec, data);
  const task = taskOf(taskName);
  const read = async (path: string): Promise<unknown[]> => {
    const source = await task.read(path);
    noteGuesses(progress, source);
    return collectRows(source);
  };
  return { name, task, train: (await read(train)).slice(0, maxRows), dev: await read(dev) };
}

function tableOf(models: readonly ComparedModel[]): string {
  const tasks = models[0].cells.map(({ task, score }) => `${task} ${score}`);
  return formatTable([
    ["model", "direction", ...tasks, "parameters", "tokens/s", "memory"],
    ...models.map(({ model, direction, parameters, cells, residentBytes }) => [
      model,
      direction,
      ...cells.map(({ mean, standardDeviation, runs }) =>
        runs > 1 ? `${mean.toFixed(4)} ± ${standardDeviation.toFixed(4)}` : mean.toFixed(4),
      ),
      formatCount(parameters),
      formatCount(cells.reduce((sum, { tokensPerSecond }) => sum + tokensPerSecond, 0) / cells.length),
      formatBytes(residentBytes),
    ]),
  ]);
}

/** `cloze compare` */
export function addCompare(program: Command): void {
  program
    .command("compare")
    .description("fine-tune several models for the same tasks over seeds, and print one table")
    .requiredOption("--models <list>", "folders or hub ids: a,b,c", list)
    .requiredOption(
      "--tasks <list>",
      `task:train:dev, or names of sets in --data: ${Object.keys(known).join(", ")}`,
      list,
    )
    .option("--data <folder>", "a folder with a folder for each set")
    .option("--seeds <count>", "runs that differ in their seed", wholeNumber(), 3)
    .option("--epochs <count>", "times that every row is seen (default: the task's)", wholeNumber())
    .option("--learning-rate <rate>", "highest learning rate (default: the task's)", numberBetween(0))
    .option("--max-length <tokens>", "longest sequence (default: the task's)", wholeNumber(8))
    .option("--max-rows <count>", "use the first so many training rows", wholeNumber())
    .action(async (options: CompareCommandOptions) => {
      const progress = progressFor(options);
      const models: string[] = [];
      for (const model of options.models) models.push(await modelFolder(model, options));
      const tasks: CompareTask[] = [];
      for (const spec of options.tasks) tasks.push(await readTask(spec, options, progress));
      if (models.length === 0 || tasks.length === 0) {
        throw new ClozeError("COMPARE_TASK", "There is nothing to compare", {
          expected: "at least one model and one task",
          received: `${models.length} models, ${tasks.length} tasks`,
        });
      }
      const { seeds, epochs, learningRate, maxLength } = options;
      const compared = await compareModels({ models, tasks, seeds, epochs, learningRate, maxLength, progress });
      printResult(options, { seeds, models: compared }, () => tableOf(compared));
    });
}
