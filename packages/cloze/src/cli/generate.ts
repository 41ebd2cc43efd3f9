import type { Command } from "commander";
import { encoderFolderOf } from "../embedding/axis/axis-file.js";
import { ClozeError } from "../errors.js";
import { loadModel } from "../families/index.js";
import { createFilter, type GeneratedText, generateTexts } from "../generation/index.js";
import { loadTokenizer } from "../text/index.js";
import { createMeter } from "../training/progress.js";
import { numberBetween, wholeNumber } from "./arguments.js";
import { modelArgument, modelFolder } from "./model-argument.js";
import { type CommonOptions, printResult, progressFor } from "./output.js";

interface GenerateOptions extends CommonOptions {
  model: string;
  prompt?: string;
  maxNewTokens: number;
  temperature: number;
  topK: number;
  seed: number;
  samples: number;
  beams: number;
  lengthPenalty: number;
  filter?: string;
  filterModel?: string;
  threshold: number;
  keepMin: number;
}

/** `cloze generate` */
export function addGenerate(program: Command): void {
  program
    .command("generate")
    .description("go on with a text by a decoder (GPT-2, or cloze pretrain --objective causal-language)")
    .requiredOption(`--model ${modelArgument}`, "a model that predicts the next token")
    .option("--prompt <text>", "what to go on from (default: a new text)")
    .option("--max-new-tokens <count>", "tokens that are added at most", wholeNumber(0), 20)
    .option(
      "--temperature <number>",
      "below 1 likely tokens become likelier; 0: always the likeliest",
      numberBetween(0),
      1,
    )
    .option("--top-k <count>", "only so many of the likeliest tokens may come", wholeNumber(), 50)
    .option("--seed <number>", "decides random choices (--beams makes none)", wholeNumber(0), 1)
    .option("--samples <count>", "texts, each with the next seed; with --beams the best ones", wholeNumber(), 1)
    .option(
      "--beams <count>",
      "search for the likeliest text with so many candidates, instead of drawing",
      wholeNumber(),
      1,
    )
    .option(
      "--length-penalty <number>",
      "with --beams: log-probabilities are divided by length to this power",
      numberBetween(Number.NEGATIVE_INFINITY),
      1,
    )
    .option("--filter <axis.json>", "keep the text on one side of an axis that cloze axis fitted")
    .option(`--filter-model ${modelArgument}`, "the axis's encoder (default: the folder that the axis lies in)")
    .option(
      "--threshold <score>",
      "the text must score above it, token by token",
      numberBetween(Number.NEGATIVE_INFINITY),
      0,
    )
    .option("--keep-min <count>", "where no more tokens pass, so many of the best ones do", wholeNumber(), 5)
    .action(async (options: GenerateOptions) => {
      const {
        prompt = "",
        maxNewTokens,
        temperature,
        topK,
        seed,
        samples,
        beams,
        lengthPenalty,
        threshold,
        keepMin,
      } = options;
      const folder = await modelFolder(options.model, options);
      const model = loadModel(folder, { architecture: "LMHeadModel" });
      if (model.initialized.length > 0) {
        throw new ClozeError("HEAD_MISMATCH", `${options.model} holds no head for the next token`, {
          expected: "a decoder, such as GPT-2",
          remedy: "cloze pretrain --objective causal-language makes one; --model there goes on from this one.",
        });
      }
      const encoder =
        options.filter === undefined
          ? undefined
          : encoderFolderOf(options.filter, options.filterModel && (await modelFolder(options.filterModel, options)));
      const filters =
        options.filter === undefined
          ? []
          : [createFilter({ type: "axis-filter", axis: options.filter, encoder, threshold, keepMin })];
      const tokenizer = loadTokenizer(folder);
      const progress = progressFor(options);
      // Texts that end early leave tokens that are never drawn.
      let done = 0;
      const meter = createMeter("generate", () => done / (samples * Math.max(1, maxNewTokens)));
      const onToken = () => {
        done++;
        progress.update(meter.event(done));
      };
      const how = beams > 1 ? { beams, lengthPenalty } : { seed, onToken };
      const texts: GeneratedText[] = generateTexts(model, tokenizer, prompt, {
        ...{ maxNewTokens, temperature, topK, filters, count: samples },
        ...how,
      });
      progress.done();
      for (const filter of filters) filter.dispose?.();
      model.dispose();
      printResult(options, texts, () => texts.map(({ text }) => text).join("\n"));
    });
}
