// `--probe` of `cloze pretrain`: how useful the encoder is for a task, measured along the way.
import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import { collectRows } from "../data/readers/index.js";
import type { Model } from "../families/index.js";
import { type Task, taskOf } from "../tasks/index.js";
import type { Tokenizer } from "../text/index.js";
import { probe } from "../training/probe.js";
import type { ProgressReporter } from "../training/progress.js";
import { wholeNumber } from "./arguments.js";
import { noteGuesses } from "./data-options.js";

interface ProbeFiles {
  readonly task: string;
  readonly train: string;
  readonly dev: string;
}

export interface ProbeOptions {
  probe?: ProbeFiles[];
  probeEvery?: number;
  probeEpochs?: number;
  probeRows: number;
}

function probeFiles(text: string, before: ProbeFiles[] = []): ProbeFiles[] {
  const parts = text.split(":");
  if (parts.length !== 3 || parts.includes("")) {
    throw new InvalidArgumentError("A task and two files are needed, such as classification:train.csv:dev.csv.");
  }
  const [task, train, dev] = parts;
  return [...before, { task, train, dev }];
}

/** Adds --probe, --probe-every, --probe-epochs and --probe-rows. */
export const withProbeOptions = (command: Command): Command =>
  command
    .option(
      "--probe <task:train:dev>",
      "fine-tune a copy of the encoder along the way, and print its score; may be repeated",
      probeFiles,
    )
    .option("--probe-every <steps>", "steps between probes (default: only at the end)", wholeNumber())
    .option("--probe-epochs <count>", "epochs of a probe (default: the task's)", wholeNumber())
    .option("--probe-rows <count>", "training rows of a probe, at most", wholeNumber(), 1000);

export interface ProbeRecord {
  readonly step: number;
  readonly task: string;
  readonly train: string;
  readonly score: number;
}

/** Probes with their rows read, so that what is wrong with them is known before the run. */
export async function openProbes(
  options: ProbeOptions & { out: string; seed: number; maxLength: number },
  progress: ProgressReporter,
): Promise<{ run(model: Model, tokenizer: Tokenizer, step: number): Promise<void>; records: ProbeRecord[] }> {
  const read = async (task: Task, path: string, most?: number): Promise<unknown[]> => {
    const source = await task.read(path);
    noteGuesses(progress, source);
    const rows = await collectRows(source);
    return most === undefined ? rows : rows.slice(0, most);
  };
  const opened: { task: Task; files: ProbeFiles; train: unknown[]; dev: unknown[] }[] = [];
  for (const files of options.probe ?? []) {
    const task = taskOf(files.task);
    const train = await read(task, files.train, options.probeRows);
    opened.push({ task, files, train, dev: await read(task, files.dev) });
  }
  const records: ProbeRecord[] = [];
  return {
    records,
    async run(model, tokenizer, step) {
      for (const { task, files, train, dev } of opened) {
        const { score } = await probe(model, tokenizer, {
          task,
          train,
          dev,
          epochs: options.probeEpochs,
          maxLength: options.maxLength,
          seed: options.seed,
        });
        // Ctrl-C ends a probe early, too.
        if (Number.isNaN(score)) continue;
        const record = { step, task: task.name, train: files.train, score };
        records.push(record);
        appendFileSync(join(options.out, "probes.jsonl"), `${JSON.stringify(record)}\n`);
        progress.note(`step ${step}: ${task.name} ${score.toFixed(4)} after fine-tuning on ${files.train}`);
      }
    },
  };
}
