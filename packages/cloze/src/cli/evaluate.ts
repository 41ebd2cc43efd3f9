import { writeFileAtomic } from "@cloze/tensor";
import { type Command, Option } from "commander";
import { createWarnings } from "../data/readers/warnings.js";
import { plannedForward } from "../inference/planned-forward.js";
import { evaluateRows, loadTaskModel, taskOf, tasks } from "../tasks/index.js";
import { confusionSvg } from "../training/confusion-picture.js";
import { wholeNumber } from "./arguments.js";
import { type DataOptions, readOptionsOf, withDataOptions } from "./data-options.js";
import { noteWarnings } from "./finetune-run.js";
import { modelArgument, modelFolder } from "./model-argument.js";
import { type CommonOptions, formatTable, printResult, progressFor } from "./output.js";

interface EvaluateOptions extends CommonOptions, DataOptions {
  model: string;
  data: string;
  task?: string;
  maxLength?: number;
  tokenBudget: number;
  weights: "float32" | "int8" | "sparse";
  confusion?: string;
}

/** Options of commands that run fine-tuned models: --model, --task, --max-length, --token-budget and --weights. */
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
      new Option("--weights <kind>", "how the encoder's matrices are multiplied")
        .choices(["float32", "int8", "sparse"])
        .default("float32"),
    );

/** `cloze evaluate` */
export function addEvaluate(program: Command): void {
  const command = withTaskModelOptions(
    program.command("evaluate").description("score a fine-tuned model on labelled data"),
  )
    .requiredOption("--data <file>", "labelled rows")
    .option("--confusion <file>", "write the confusion matrix there, as SVG");
  withDataOptions(command).action(async (options: EvaluateOptions) => {
    const progress = progressFor(options);
    const loaded = loadTaskModel(await modelFolder(options.model, options), {
      task: options.task === undefined ? undefined : taskOf(options.task),
      maxLength: options.maxLength,
    });
    const source = await loaded.task.read(options.data, readOptionsOf(options));
    for (const guess of source.guesses) progress.note(`${options.data}: ${guess} (guessed)`);
    const rows: unknown[] = [];
    for await (const row of source) rows.push(row);
    const planned = plannedForward(loaded.model, { weights: options.weights });
    if (planned.reason !== undefined) progress.note(planned.reason);
    const warnings = createWarnings();
    const start = performance.now();
    const { scores } = await evaluateRows({ ...loaded, forward: planned.forward }, rows, {
      tokenBudget: options.tokenBudget,
      warnings,
    });
    const seconds = (performance.now() - start) / 1000;
    noteWarnings(progress, [...source.warnings.list(), ...warnings.list()]);
    if (options.confusion !== undefined && scores.confusion !== undefined)
      writeFileAtomic(options.confusion, confusionSvg(scores.confusion));
    printResult(options, { rows: rows.length, seconds, scores: scores.values, confusion: scores.confusion }, () =>
      formatTable([
        [`${rows.length} rows`, options.data],
        ...Object.entries(scores.values).map(([name, value]) => [name, value.toFixed(4)]),
      ]),
    );
    planned.close();
    loaded.model.dispose();
  });
}
