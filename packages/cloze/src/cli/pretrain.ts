import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { type Command, Option } from "commander";
import { openTokenStore, writeTokenStore } from "../data/token-store.js";
import { ClozeError } from "../errors.js";
import { createModel, loadModel, saveModel } from "../families/index.js";
import {
  checkObjective,
  objectiveNames,
  objectiveOptions,
  objectivePart,
  objectives,
  parseObjective,
} from "../objectives/index.js";
import type { MaskingUnit } from "../objectives/masking.js";
import { loadTokenizer, readLines } from "../text/index.js";
import { extendVocabulary } from "../training/extend-vocabulary.js";
import { addLora, mergeLora } from "../training/policies/lora.js";
import { checkVocabulary, pretrain } from "../training/pretrain.js";
import { numberBetween, setting, wholeNumber } from "./arguments.js";
import { modelArgument, modelFolder } from "./model-argument.js";
import { encoderOfSize, type ModelSize, modelSizes } from "./model-size.js";
import { progressFor } from "./output.js";
import { checkLength, printRun, type TrainingOptions, tokenizerFor, withTrainingOptions } from "./training-options.js";

interface PretrainCommandOptions extends TrainingOptions {
  tokenizer?: string;
  model?: string;
  size: ModelSize;
  maxLength: number;
  batchTokens: number;
  accumulate: number;
  objective: string;
  set?: Record<string, unknown>;
  masking?: MaskingUnit;
  maskingRate?: number;
  extendVocabulary?: number;
  recompute?: boolean;
  average?: number;
  lora?: number;
  loraTargets?: string[];
}

const objectivesHelp = (): string =>
  Object.entries(objectives)
    .map(([type, { description }]) =>
      [
        `  ${objectiveNames(type).join(", ")}: ${description}`,
        ...objectiveOptions()
          .filter((option) => option.type === type)
          .map(({ option, description: meaning }) => `      ${option}  ${meaning}`),
      ].join("\n"),
    )
    .join("\n");

/** What the objective is asked, from --set and its short forms. */
const objectiveOf = ({ objective, set, masking, maskingRate }: PretrainCommandOptions) =>
  parseObjective({
    ...(masking === undefined ? {} : { unit: masking }),
    ...(maskingRate === undefined ? {} : { rate: maskingRate }),
    ...set,
    type: objective,
  });

/** `cloze pretrain` */
export function addPretrain(program: Command): void {
  const command = program
    .command("pretrain")
    .description("train a language model on text files, one document a line")
    .argument("<files...>", "text files")
    .option("--tokenizer <path>", "tokenizer.json or its folder (cloze tokenizer train makes one)")
    .option(`--model ${modelArgument}`, "go on from this model, with its tokenizer, instead of from nothing")
    .option(
      "--extend-vocabulary <pieces>",
      "with --model: add pieces that these texts have often to its vocabulary",
      wholeNumber(),
    )
    .addOption(new Option("--size <size>", "size of a new model").choices(Object.keys(modelSizes)).default("mini"))
    .option("--max-length <tokens>", "longest sequence", wholeNumber(8), 128)
    .option("--batch-tokens <tokens>", "tokens of a batch", wholeNumber(8), 4096)
    .option("--accumulate <batches>", "batches whose gradients are averaged for a step", wholeNumber(), 1)
    .option("--recompute", "less memory: layers run again in the backward pass")
    .option(
      "--lora <rank>",
      "train adapters of this rank only; they are merged into the model at the end",
      wholeNumber(),
    )
    .option("--lora-targets <names...>", "the matrices beside which they stand: query, dense, …, or all-linear")
    .option(
      "--average <decay>",
      "end with a moving average of the weights, of which this share stays at each step (0.999)",
      numberBetween(0, 0.999999),
    )
    .option("--objective <type>", "what the model is asked, see below", "masked-language")
    .option("--set <name=value>", "an option of the objective, see below; may be repeated", setting)
    .addOption(
      new Option("--masking <unit>", "what is chosen together: the option unit").choices([
        "token",
        "whole-word",
        "span",
      ]),
    )
    .option("--masking-rate <share>", "share of the tokens that are chosen: the option rate", numberBetween(0.01, 0.99))
    .addHelpText("after", () => `\nObjectives, and their options (--set name=value):\n${objectivesHelp()}`);
  withTrainingOptions(command).action(async (files: string[], options: PretrainCommandOptions) => {
    checkLength(options);
    const objective = objectiveOf(options);
    const { architecture } = objectivePart(objective);
    const progress = progressFor(options);
    const lines = readLines(files);
    const start = options.model === undefined ? undefined : await modelFolder(options.model, options);
    const named = options.tokenizer ?? start;
    let tokenizer = named === undefined ? tokenizerFor(options) : loadTokenizer(named);
    const { maxLength, learningRate } = options;
    let model =
      start !== undefined
        ? loadModel(start, { architecture })
        : createModel({
            architecture,
            config: encoderOfSize(options.size, tokenizer.vocabularySize, maxLength),
            seed: options.seed,
          });
    checkVocabulary(model, tokenizer);
    checkObjective(objective, model.config, model.head.config);
    if (options.extendVocabulary !== undefined) {
      if (start === undefined) {
        throw new ClozeError("OPTION_CONFLICT", "--extend-vocabulary goes with --model", {
          remedy: "A new model gets the vocabulary of its tokenizer: cloze tokenizer train learns one.",
        });
      }
      progress.note("Learning new pieces …");
      // From the same texts a resumed run learns the same ones.
      const extended = extendVocabulary(model, tokenizer, { texts: lines }, { count: options.extendVocabulary });
      ({ model, tokenizer } = extended);
      const { added, words, changedWords, tokensBefore, tokensAfter } = extended;
      progress.note(
        `${added.length} pieces added: ${(tokensBefore / words).toFixed(2)} tokens a word become ` +
          `${(tokensAfter / words).toFixed(2)}; ${changedWords} of ${words} words are cut otherwise`,
      );
    }
    if (options.lora !== undefined) {
      const targets = options.loraTargets?.includes("all-linear") ? "all-linear" : options.loraTargets;
      model = addLora(model, { rank: options.lora, targets, seed: options.seed });
    }
    if (model.initialized.length > 0) progress.note(`New parameters: ${model.initialized.join(", ")}`);
    mkdirSync(options.out, { recursive: true });
    const path = join(options.out, "tokens.bin");
    if (!options.resume || !existsSync(path)) {
      progress.note(`Tokenizing ${files.length} file(s) …`);
      const ids = function* () {
        for (const line of lines) yield tokenizer.encodeIds(line, { addSpecialTokens: false, truncation: false });
      };
      writeTokenStore(path, ids());
    }
    const store = openTokenStore(path);
    progress.note(`${store.count} documents, ${store.tokens} tokens`);
    const result = await pretrain(model, tokenizer, store, {
      steps: options.steps,
      minutes: options.minutes,
      // From nothing, small models take larger steps.
      learningRate: learningRate ?? (options.model === undefined ? 5e-4 : 5e-5),
      weightDecay: options.weightDecay,
      batchTokens: options.batchTokens,
      maxLength,
      accumulate: options.accumulate,
      recompute: options.recompute,
      average: options.average === undefined ? undefined : { decay: options.average },
      objective,
      seed: options.seed,
      folder: options.out,
      resume: options.resume,
      checkpointMinutes: options.checkpointMinutes,
      progress,
    });
    store.close();
    if (options.lora !== undefined) model = mergeLora(model);
    saveModel(model, options.out);
    tokenizer.save(options.out);
    printRun(options, result);
    model.dispose();
  });
}
