// What commands that run fine-tuned models share: their options, and the model with its plan.
import type { PlanWeights } from "@cloze/tensor";
import { type Command, Option } from "commander";
import { type PlannedForward, plannedForward } from "../inference/planned-forward.js";
import { loadTaskModel, taskOf, tasks } from "../tasks/index.js";
import type { ProgressReporter } from "../training/progress.js";
import { wholeNumber } from "./arguments.js";
import { modelArgument, modelFolder } from "./model-argument.js";
import type { CommonOptions } from "./output.js";

/** What {@link withTaskModelOptions} adds. */
export interface TaskModelOptions extends CommonOptions {
  model: string;
  task?: string;
  maxLength?: number;
  tokenBudget: number;
  weights?: PlanWeights;
}

/** Adds --model, --task, --max-length, --token-budget and --weights. */
export const withTaskModelOptions = (command: Command): Command =>
  command
    .requiredOption(`--model ${modelArgument}`, "a fine-tuned model")
    .addOption(
      new Option("--task <task>", "what it was fine-tuned for, where its folder does not say").choices(
        tasks.map(({ name }) => name),
      ),
    )
    .option("--max-length <tokens>", "longest sequence (default: as in training)", wholeNumber(8))
    .option("--token-budget <count>", "tokens per forward pass", wholeNumber(1), 4096)
    .addOption(
      new Option(
        "--weights <kind>",
        "how the encoder's matrices are multiplied (default: as cloze compile chose, else float32)",
      ).choices(["float32", "int8", "sparse", "sparse-int8"]),
    );

/** The model that the options name, planned where it can be; `close` frees both. */
export async function openTaskModel(options: TaskModelOptions, progress: ProgressReporter) {
  const loaded = loadTaskModel(await modelFolder(options.model, options), {
    task: options.task === undefined ? undefined : taskOf(options.task),
    maxLength: options.maxLength,
  });
  const planned: PlannedForward = plannedForward(loaded.model, { weights: options.weights });
  if (planned.reason !== undefined) progress.note(planned.reason);
  return {
    ...loaded,
    forward: planned.forward,
    close() {
      planned.close();
      loaded.model.dispose();
    },
  };
}
