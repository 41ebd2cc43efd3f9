#!/usr/bin/env node
// The `cloze` command. One file per sub-command; each adds itself to the program.
import { readFileSync } from "node:fs";
import { Command } from "commander";
import { reportError, watchOutput } from "./output.js";

const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
  version: string;
};

type Add = (program: Command) => void;

/** Commands in the order of their help. Only the one that is called is loaded: starting all of them takes longer than most run. */
const commands: Readonly<Record<string, () => Promise<Add>>> = {
  tokenizer: async () => (await import("./tokenizer.js")).addTokenizer,
  pretrain: async () => (await import("./pretrain.js")).addPretrain,
  "pretrain-images": async () => (await import("./pretrain-images.js")).addPretrainImages,
  lexicon: async () => (await import("./lexicon.js")).addLexicon,
  train: async () => (await import("./train.js")).addTrain,
  "train-retrieval": async () => (await import("./train-retrieval.js")).addTrainRetrieval,
  finetune: async () => (await import("./finetune.js")).addFinetune,
  evaluate: async () => (await import("./evaluate.js")).addEvaluate,
  compare: async () => (await import("./compare.js")).addCompare,
  predict: async () => (await import("./predict.js")).addPredict,
  embed: async () => (await import("./embed.js")).addEmbed,
  "embed-bench": async () => (await import("./evaluate-embedding.js")).addEmbedBench,
  mine: async () => (await import("./mine.js")).addMine,
  index: async () => (await import("./index-documents.js")).addIndex,
  search: async () => (await import("./search.js")).addSearch,
  rerank: async () => (await import("./rerank.js")).addRerank,
  "fill-mask": async () => (await import("./fill-mask.js")).addFillMask,
  axis: async () => (await import("./axis.js")).addAxis,
  probe: async () => (await import("./probe.js")).addProbe,
  generate: async () => (await import("./generate.js")).addGenerate,
  serve: async () => (await import("./serve.js")).addServe,
  compile: async () => (await import("./compile.js")).addCompile,
  export: async () => (await import("./export.js")).addExport,
  info: async () => (await import("./info.js")).addInfo,
  data: async () => (await import("./data.js")).addData,
  pull: async () => (await import("./pull.js")).addPull,
  reproduce: async () => (await import("./reproduce.js")).addReproduce,
  demo: async () => (await import("./demo.js")).addDemo,
};

/** The command line with the command that is called; with all of them for help, and for names that are none. */
async function createProgram(called: string | undefined): Promise<Command> {
  const program = new Command("cloze")
    .description("The encoder workshop: train, shrink, embed with, search with and serve BERT-family encoders.")
    .version(version)
    .showHelpAfterError("(add --help for what this command takes)")
    .exitOverride();
  const one = called !== undefined && Object.hasOwn(commands, called) ? [commands[called]] : Object.values(commands);
  for (const add of await Promise.all(one.map((load) => load()))) add(program);
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
  const program = await createProgram(process.argv[2]);
  await program.parseAsync();
} catch (error) {
  process.exitCode = reportError(error, process.argv.includes("--json"));
}
