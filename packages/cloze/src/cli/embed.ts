import { readFileSync } from "node:fs";
import { scope, writeFileAtomic } from "@cloze/tensor";
import { type Command, Option } from "commander";
import { loadEmbedder } from "../embedding/sentence-transformers.js";
import { ClozeError } from "../errors.js";
import { createMeter } from "../training/progress.js";
import { wholeNumber } from "./arguments.js";
import { modelArgument, modelFolder } from "./model-argument.js";
import { type CommonOptions, printResult, progressFor } from "./output.js";

interface EmbedOptions extends CommonOptions {
  model: string;
  input?: string;
  out?: string;
  role: "query" | "document";
  tokenBudget: number;
}

/** The texts of a command: its arguments, or the lines of a file (`-`: standard input). */
export function textsOf(texts: readonly string[], input: string | undefined): string[] {
  if (input === undefined) {
    if (texts.length > 0) return [...texts];
    throw new ClozeError("NO_TEXT", "There is no text", { remedy: "Give texts as arguments, or a file with --input." });
  }
  const content = readFileSync(input === "-" ? 0 : input, "utf8");
  const lines = content.split(/\r?\n/);
  if (lines[lines.length - 1] === "") lines.pop();
  if (lines.length === 0) throw new ClozeError("NO_TEXT", `${input} is empty`, { expected: "one text a line" });
  return lines;
}

/** `cloze embed` */
export function addEmbed(program: Command): void {
  program
    .command("embed")
    .description("turn texts into vectors")
    .argument("[texts...]", "texts; or use --input")
    .requiredOption(`--model ${modelArgument}`, "a model (sentence-transformers or Hugging Face)")
    .option("--input <file>", "one text a line; - for standard input")
    .option("--out <file>", "write JSON lines {text, vector} there")
    .addOption(
      new Option("--role <role>", "what the texts are, where the model tells them apart")
        .choices(["query", "document"])
        .default("document"),
    )
    .option("--token-budget <count>", "tokens per forward pass", wholeNumber(1), 4096)
    .action(async (given: string[], options: EmbedOptions) => {
      const texts = textsOf(given, options.input);
      const embedder = loadEmbedder(await modelFolder(options.model, options));
      const progress = progressFor(options);
      const meter = createMeter("embed", () => done / texts.length);
      let done = 0;
      const width = embedder.width;
      const vectors = scope(
        () =>
          embedder
            .embed(texts, {
              role: options.role,
              tokenBudget: options.tokenBudget,
              onProgress(count) {
                done = count;
                progress.update(meter.event(count));
              },
            })
            .toTypedArray() as Float32Array,
      );
      progress.done();
      const row = (i: number) => Array.from(vectors.subarray(i * width, (i + 1) * width));
      if (options.out !== undefined) {
        writeFileAtomic(
          options.out,
          (function* () {
            for (let i = 0; i < texts.length; i++) {
              yield Buffer.from(`${JSON.stringify({ text: texts[i], vector: row(i) })}\n`);
            }
          })(),
        );
        printResult(
          options,
          { texts: texts.length, width, out: options.out },
          () => `${texts.length} vectors of ${width} numbers in ${options.out}`,
        );
        return;
      }
      printResult(
        options,
        texts.map((text, i) => ({ text, vector: row(i) })),
        () =>
          texts
            .map(
              (text, i) =>
                `${text}\t${row(i)
                  .map((value) => value.toFixed(6))
                  .join(" ")}`,
            )
            .join("\n"),
      );
    });
}
