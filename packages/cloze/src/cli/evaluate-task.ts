import { writeFileAtomic } from "@cloze/tensor";
import type { Command } from "commander";
import { collectRows } from "../data/readers/index.js";
import { createWarnings } from "../data/readers/warnings.js";
import { evaluateRows } from "../tasks/index.js";
import { confusionSvg } from "../training/confusion-picture.js";
import { type DataOptions, noteGuesses, noteWarnings, readOptionsOf, withDataOptions } from "./data-options.js";
import { formatTable, printResult, progressFor } from "./output.js";
import { openTaskModel, type TaskModelOptions, withTaskModelOptions } from "./task-model.js";

interface EvaluateOptions extends TaskModelOptions, DataOptions {
  data: string;
  confusion?: string;
}

/** `cloze evaluate`, without a sub-command. */
export function addEvaluateTask(program: Command): void {
  const command = withTaskModelOptions(
    program
      .command("task", { isDefault: true })
      .description("score a fine-tuned model on labelled data (what evaluate does without a sub-command)"),
  )
    .requiredOption("--data <file>", "labelled rows")
    .option("--confusion <file>", "write the confusion matrix there, as SVG");
  withDataOptions(command).action(async (options: EvaluateOptions) => {
    const progress = progressFor(options);
    const model = await openTaskModel(options, progress);
    const source = await model.task.read(options.data, readOptionsOf(options));
    noteGuesses(progress, source);
    const rows = await collectRows(source);
    const warnings = createWarnings();
    const start = performance.now();
    const { scores } = await evaluateRows(model, rows, {
      tokenBudget: options.tokenBudget,
      warnings,
    });
    const seconds = (performance.now() - start) / 1000;
    const odd = [...source.warnings.list(), ...warnings.list()];
    noteWarnings(progress, odd);
    if (options.confusion !== undefined && scores.confusion !== undefined)
      writeFileAtomic(options.confusion, confusionSvg(scores.confusion));
    printResult(
      options,
      { rows: rows.length, seconds, scores: scores.values, confusion: scores.confusion, warnings: odd },
      () =>
        formatTable([
          [`${rows.length} rows`, options.data],
          ...Object.entries(scores.values).map(([name, value]) => [name, value.toFixed(4)]),
        ]),
    );
    model.close();
  });
}
