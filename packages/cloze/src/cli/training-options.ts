// Options that the training commands share.
import { type Command, Option } from "commander";
import { ClozeError } from "../errors.js";
import { formatCount, formatDuration } from "../training/progress.js";
import type { TrainResult } from "../training/trainer.js";
import { numberBetween, wholeNumber } from "./arguments.js";
import { type CommonOptions, printResult } from "./output.js";

export interface TrainingOptions extends CommonOptions {
  out: string;
  steps?: number;
  minutes?: number;
  learningRate?: number;
  weightDecay: number;
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
    .option("--weight-decay <rate>", "decay of matrices", numberBetween(0), 0.01)
    .option("--seed <number>", "decides every random choice", wholeNumber(0), 1)
    .option("--checkpoint-minutes <minutes>", "time between checkpoints", numberBetween(0), 5)
    .option("--resume", "go on from the newest checkpoint in --out");

/** Throws unless the run has an end. */
export function checkLength({ steps, minutes }: TrainingOptions): void {
  if (steps !== undefined || minutes !== undefined) return;
  throw new ClozeError("TRAINING_LENGTH", "Say when training ends", { remedy: "Add --steps 1000 or --minutes 10." });
}

/** What a finished or interrupted run prints. */
export function printRun(options: TrainingOptions, result: TrainResult, command: string): void {
  printResult(options, { ...result, model: options.out }, () =>
    [
      `${result.interrupted ? "Stopped" : "Done"} at step ${result.steps}, loss ${result.loss.toFixed(4)}, ` +
        `${formatDuration(result.seconds)}, ${formatCount(result.tokensPerSecond)} tokens/s`,
      result.interrupted
        ? `Go on with: cloze ${command} … --out ${options.out} --resume`
        : `The model is in ${options.out}; its curve in ${options.out}/loss.svg`,
    ].join("\n"),
  );
}
