import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { rename } from "node:fs/promises";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { finished } from "node:stream/promises";
import type { Command } from "commander";
import { type RowSource, rowsOf } from "../data/readers/index.js";
import { createWarnings } from "../data/readers/warnings.js";
import { ClozeError } from "../errors.js";
import { plannedForward } from "../inference/planned-forward.js";
import { loadTaskModel, predictRows, taskOf } from "../tasks/index.js";
import { createMeter } from "../training/progress.js";
import { type DataOptions, readOptionsOf, withDataOptions } from "./data-options.js";
import { withTaskModelOptions } from "./evaluate.js";
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

/** Standard input as rows: JSON lines, or plain texts. */
async function standardInput(): Promise<RowSource> {
  const rows: Record<string, never>[] = [];
  for await (const line of createInterface({ input: process.stdin })) {
    if (line.trim() === "") continue;
    if (!line.startsWith("{")) {
      rows.push({ text: line } as unknown as Record<string, never>);
      continue;
    }
    try {
      rows.push(JSON.parse(line) as Record<string, never>);
    } catch (cause) {
      throw new ClozeError("DATA_JSON", `Standard input, line ${rows.length + 1}: no JSON`, { cause });
    }
  }
  return rowsOf(rows, "standard input");
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
    const source = await loaded.task.read(options.data ?? (await standardInput()), readOptionsOf(options));
    for (const guess of source.guesses) progress.note(`${source.path}: ${guess} (guessed)`);
    const temporary = options.out === undefined ? undefined : `${options.out}.${process.pid}.tmp`;
    const stream = temporary === undefined ? process.stdout : createWriteStream(temporary);
    const warnings = createWarnings();
    const meter = createMeter("predict", () => 0);
    let done = 0;
    const lines = async function* () {
      for await (const { prediction } of predictRows({ ...loaded, forward: planned.forward }, source, {
        tokenBudget: options.tokenBudget,
        warnings,
        onProgress(rows) {
          done = rows;
          meter.count(rows);
          if (options.out !== undefined) progress.update(meter.event(rows));
        },
      })) {
        yield `${JSON.stringify(prediction)}\n`;
      }
    };
    const start = performance.now();
    const readable = Readable.from(lines());
    if (temporary === undefined) {
      for await (const line of readable) if (!stream.write(line)) await once(stream, "drain");
    } else {
      await finished(readable.pipe(stream));
      await rename(temporary, options.out as string);
    }
    const seconds = (performance.now() - start) / 1000;
    progress.done();
    for (const { code, message, count, first } of [...source.warnings.list(), ...warnings.list()])
      progress.note(`${code}: ${count} × ${message} (first: ${first})`);
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
