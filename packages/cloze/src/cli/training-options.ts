// Options that the training commands share.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Command, Option } from "commander";
import { ClozeError } from "../errors.js";
import { loadTokenizer, type Tokenizer } from "../text/index.js";
import { formatCount, formatDuration } from "../training/progress.js";
import type { TrainResult } from "../training/trainer.js";
import { numberBetween, wholeNumber } from "./arguments.js";
import { type CommonOptions, printResult } from "./output.js";

export interface TrainingOptions extends CommonOptions {
  out: string;
  steps?: number;
  minutes?: number;
  learningRate?: number;
  weightDecay?: number;
  seed: number;
  resume?: boolean;
  checkpointMinutes: number;
}

/** Adds --out, --steps, --minutes, --learning-rate, --weight-decay, --seed, --checkpoint-minutes and --resume. */
export const withTrainingOptions = (command: Command): Command =>
  command
    .requiredOption("--out <folder>", "the run's folder: checkpoints, log.jsonl, loss.svg, and the model at the end")
    .addOption(new Option("--steps <count>", "optimizer steps").argParser(wholeNumber()))
    .addOption(new Option("--minutes <minutes>", "time to train").argParser(numberBetween(0)))
    .addOption(new Option("--learning-rate <rate>", "highest learning rate").argParser(numberBetween(0)))
    .option("--weight-decay <rate>", "decay of matrices (default: 0.01)", numberBetween(0))
    .option("--seed <number>", "decides every random choice", wholeNumber(0), 1)
    .option("--checkpoint-minutes <minutes>", "time between checkpoints", numberBetween(0), 5)
    .option("--resume", "go on from the newest checkpoint in --out");

/** Throws unless the run has an end. */
export function checkLength({ steps, minutes }: TrainingOptions): void {
  if (steps !== undefined || minutes !== undefined) return;
  throw new ClozeError("TRAINING_LENGTH", "Say when training ends", { remedy: "Add --steps 1000 or --minutes 10." });
}

/** A tokenizer for a new model: the one that is named, or the run's own. */
export function tokenizerFor({ tokenizer, out }: { tokenizer?: string; out: string }): Tokenizer {
  if (tokenizer === undefined && !existsSync(join(out, "tokenizer.json"))) {
    throw new ClozeError("TOKENIZER_FILE_MISSING", "A new model needs a tokenizer", {
      remedy: "Make one with cloze tokenizer train and name it with --tokenizer, or go on from a --model.",
    });
  }
  return loadTokenizer(tokenizer ?? out);
}

const quote = (argument: string): string =>
  /^[\w@%+=:,./-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", "'\\''")}'`;

/** This command, as one would type it. */
export const commandLine = (more: readonly string[] = []): string =>
  ["cloze", ...process.argv.slice(2).filter((argument) => argument !== "--resume"), ...more].map(quote).join(" ");

/** This command again, going on from its checkpoint. */
export const resumeCommand = (): string => commandLine(["--resume"]);

/** What a finished or interrupted run prints. An interrupted one ends with status 130. */
export function printRun(options: TrainingOptions, result: TrainResult): void {
  const resume = result.interrupted ? resumeCommand() : undefined;
  if (resume !== undefined) process.exitCode = 130;
  const facts = [
    `${result.interrupted ? "Stopped" : "Done"} at step ${result.steps}`,
    Number.isNaN(result.loss) ? "nothing left to do" : `loss ${result.loss.toFixed(4)}`,
    formatDuration(result.seconds),
  ];
  if (result.tokensPerSecond !== undefined && result.tokensPerSecond > 0)
    facts.push(`${formatCount(result.tokensPerSecond)} tokens/s`);
  printResult(options, { ...result, model: options.out, resume }, () =>
    [
      facts.join(", "),
      resume === undefined
        ? `The model is in ${options.out}; its curve in ${options.out}/loss.svg`
        : `Go on with: ${resume}`,
    ].join("\n"),
  );
}
