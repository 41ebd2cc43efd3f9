import { once } from "node:events";
import { writeFileAtomicAsync } from "@cloze/tensor";
import type { Command } from "commander";
import { createWarnings } from "../data/readers/warnings.js";
import { predictRows } from "../tasks/index.js";
import { createMeter } from "../training/progress.js";
import { type DataOptions, noteGuesses, noteWarnings, readOptionsOf, withDataOptions } from "./data-options.js";
import { lineRows } from "./line-rows.js";
import { printResult, progressFor } from "./output.js";
import { openTaskModel, type TaskModelOptions, withTaskModelOptions } from "./task-model.js";

interface PredictOptions extends TaskModelOptions, DataOptions {
  data?: string;
  out?: string;
}

/** `cloze predict` */
export function addPredict(program: Command): void {
  const command = withTaskModelOptions(
    program.command("predict").description("predictions of a fine-tuned model as JSON lines, in the order of the rows"),
  )
    .option("--data <file>", "rows; standard input (JSON lines, or a text a line) when absent")
    .option("--out <file>", "write predictions there instead of to standard output");
  withDataOptions(command).action(async (options: PredictOptions) => {
    const progress = progressFor(options);
    const model = await openTaskModel(options, progress);
    const input = options.data === undefined ? lineRows(process.stdin, "standard input") : undefined;
    const source = await model.task.read(input ?? (options.data as string), readOptionsOf(options));
    input?.release();
    noteGuesses(progress, source);
    const warnings = createWarnings();
    const meter = createMeter("predict", () => 0);
    let done = 0;
    const lines = async function* () {
      for await (const { prediction } of predictRows(model, source, {
        tokenBudget: options.tokenBudget,
        warnings,
        onProgress(rows) {
          meter.count(rows - done);
          done = rows;
          if (options.out !== undefined) progress.update(meter.event(rows));
        },
      })) {
        yield `${JSON.stringify(prediction)}\n`;
      }
    };
    const start = performance.now();
    if (options.out !== undefined) await writeFileAtomicAsync(options.out, lines());
    else for await (const line of lines()) if (!process.stdout.write(line)) await once(process.stdout, "drain");
    const seconds = (performance.now() - start) / 1000;
    progress.done();
    noteWarnings(progress, [...source.warnings.list(), ...warnings.list()]);
    model.close();
    if (options.out === undefined) return;
    printResult(
      options,
      { rows: done, seconds, rowsPerSecond: done / seconds, out: options.out },
      () => `${done} predictions in ${options.out}, ${Math.round(done / seconds)} rows/s`,
    );
  });
}
