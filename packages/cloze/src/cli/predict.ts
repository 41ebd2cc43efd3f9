import { once } from "node:events";
import { writeFileAtomicAsync } from "@cloze/tensor";
import type { Command } from "commander";
import { createWarnings } from "../data/readers/warnings.js";
import { plannedForward } from "../inference/planned-forward.js";
import { loadTaskModel, predictRows, taskOf } from "../tasks/index.js";
import { createMeter } from "../training/progress.js";
import { type DataOptions, readOptionsOf, withDataOptions } from "./data-options.js";
import { withTaskModelOptions } from "./evaluate.js";
import { noteWarnings } from "./finetune-run.js";
import { lineRows } from "./line-rows.js";
import { modelFolder } from "./model-argument.js";
import { type CommonOptions, printResult, progressFor } from "./output.js";

interface PredictOptions extends CommonOptions, DataOptions {
  model: string;
  data?: string;
  out?: string;
  task?: string;
  maxLength?: number;
  tokenBudget: number;
  weights: "float32" | "int8" | "sparse";
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
    const loaded = loadTaskModel(await modelFolder(options.model, options), {
      task: options.task === undefined ? undefined : taskOf(options.task),
      maxLength: options.maxLength,
    });
    const planned = plannedForward(loaded.model, { weights: options.weights });
    if (planned.reason !== undefined) progress.note(planned.reason);
    const input = options.data === undefined ? lineRows(process.stdin, "standard input") : undefined;
    const source = await loaded.task.read(input ?? (options.data as string), readOptionsOf(options));
    input?.release();
    for (const guess of source.guesses) progress.note(`${source.path}: ${guess} (guessed)`);
    const warnings = createWarnings();
    const meter = createMeter("predict", () => 0);
    let done = 0;
    const lines = async function* () {
      for await (const { prediction } of predictRows({ ...loaded, forward: planned.forward }, source, {
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
    planned.close();
    loaded.model.dispose();
    if (options.out === undefined) return;
    printResult(
      options,
      { rows: done, seconds, rowsPerSecond: done / seconds, out: options.out },
      () => `${done} predictions in ${options.out}, ${Math.round(done / seconds)} rows/s`,
    );
  });
}
