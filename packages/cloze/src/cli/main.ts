#!/usr/bin/env node
// The `cloze` command. One file per sub-command; each adds itself to the program.
import { readFileSync } from "node:fs";
import { Command } from "commander";
import { addData } from "./data.js";
import { addDemo } from "./demo.js";
import { addEmbed } from "./embed.js";
import { addEvaluate } from "./evaluate.js";
import { addExport } from "./export.js";
import { addFillMask } from "./fill-mask.js";
import { addFinetune } from "./finetune.js";
import { addInfo } from "./info.js";
import { reportError, watchOutput } from "./output.js";
import { addPredict } from "./predict.js";
import { addPretrain } from "./pretrain.js";
import { addPull } from "./pull.js";
import { addTokenizer } from "./tokenizer.js";
import { addTrain } from "./train.js";

const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
  version: string;
};

/** The whole command line, for the executable and for tests. */
export function createProgram(): Command {
  const program = new Command("cloze")
    .description("The encoder workshop: train, shrink, embed with, search with and serve BERT-family encoders.")
    .version(version)
    .showHelpAfterError("(add --help for what this command takes)")
    .exitOverride();
  for (const add of [
    addTokenizer,
    addPretrain,
    addTrain,
    addFinetune,
    addEvaluate,
    addPredict,
    addEmbed,
    addFillMask,
    addExport,
    addInfo,
    addData,
    addPull,
    addDemo,
  ])
    add(program);
  const common = (command: Command) => {
    command
      .exitOverride()
      .configureHelp({ showGlobalOptions: false })
      .showHelpAfterError("(add --help for what this command takes)");
    if (command.commands.length === 0) {
      command.option("--json", "print the result as JSON on standard output").option("--quiet", "no progress");
    }
    command.commands.forEach(common);
  };
  program.commands.forEach(common);
  return program;
}

watchOutput();
try {
  await createProgram().parseAsync();
} catch (error) {
  process.exitCode = reportError(error, process.argv.includes("--json"));
}
