import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "@cloze/tensor";
import { type Command, Option } from "commander";
import { sampleDocuments } from "../data/corpus/index.js";
import type { EncoderConfigInput } from "../encoder/config.js";
import { type Direction, withDirection } from "../encoder/direction.js";
import { ClozeError } from "../errors.js";
import { createModel, loadModel, type Model, saveModel } from "../families/index.js";
import {
  checkObjective,
  objectiveNames,
  objectiveOptions,
  objectivePart,
  objectives,
  parseObjective,
} from "../objectives/index.js";
import type { MaskingUnit } from "../objectives/masking.js";
import { loadTokenizer, type Tokenizer } from "../text/index.js";
import { changePositions, type PositionStart, positionStarts } from "../training/change-positions.js";
import { extendSegments } from "../training/extend-segments.js";
import { extendVocabulary } from "../training/extend-vocabulary.js";
import { findLearningRate, learningRateSvg } from "../training/learning-rate-test.js";
import { addLora, mergeLora } from "../training/policies/lora.js";
import { checkVocabulary, type PretrainCorpus, type PretrainOptions, pretrain } from "../training/pretrain.js";
import { formatBytes, formatDuration, type ProgressReporter } from "../training/progress.js";
import { estimateRun } from "../training/run-estimate.js";
import { numberBetween, setting, wholeNumber } from "./arguments.js";
import { type CorpusOptions, corpusFor, withCorpusOptions } from "./corpus-options.js";
import { documentCorpus } from "./document-corpus.js";
import { modelArgument, modelFolder } from "./model-argument.js";
import { encoderOfSize, type ModelSize, modelSizes } from "./model-size.js";
import { printResult, progressFor } from "./output.js";
import { type PretrainingPreset, presetsHelp, pretrainingPreset } from "./pretraining-presets.js";
import { openProbes, type ProbeOptions, withProbeOptions } from "./probe-options.js";
import { checkLength, printRun, type TrainingOptions, tokenizerFor, withTrainingOptions } from "./training-options.js";
import {
  checkVCycle,
  estimateVCycle,
  runVCycle,
  type VCycleCommandOptions,
  withVCycleOptions,
} from "./v-cycle-options.js";

interface PretrainCommandOptions extends TrainingOptions, CorpusOptions, ProbeOptions, VCycleCommandOptions {
  preset?: string;
  dryRun?: boolean;
  findLearningRate?: boolean;
  validateEvery?: number;
  direction?: Direction;
  positions?: PositionStart;
  segments?: number;
  tokenizer?: string;
  model?: string;
  size?: ModelSize;
  maxLength: number;
  batchTokens: number;
  accumulate: number;
  objective?: string;
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

/** What the objective is asked, from the preset, --set and its short forms. */
const objectiveOf = (
  { objective, set, masking, maskingRate }: PretrainCommandOptions,
  preset: PretrainingPreset | undefined,
) =>
  parseObjective({
    ...(objective === undefined ? preset?.objective : {}),
    ...(masking === undefined ? {} : { unit: masking }),
    ...(maskingRate === undefined ? {} : { rate: maskingRate }),
    ...set,
    type: objective ?? "masked-language",
  });

/** The model that a run starts from. */
function startModel(
  start: string | undefined,
  tokenizer: Tokenizer,
  architecture: string,
  preset: PretrainingPreset | undefined,
  { size = "mini", maxLength, seed, direction }: PretrainCommandOptions,
): Model {
  const directed = (config: EncoderConfigInput): EncoderConfigInput =>
    direction === undefined ? config : withDirection(config, direction);
  if (start !== undefined) return loadModel(start, { architecture });
  const { vocabularySize } = tokenizer;
  if (preset !== undefined) {
    const frame = { vocabularySize, padId: tokenizer.padId, maxLength };
    const { config, ...fields } = preset.model(frame);
    return createModel({ architecture, ...fields, config: directed(config), seed });
  }
  return createModel({ architecture, config: directed(encoderOfSize(size, vocabularySize, maxLength)), seed });
}

/** Trains with a growing learning rate, and says which one to take. */
function testLearningRate(
  model: Model,
  tokenizer: Tokenizer,
  corpus: PretrainCorpus,
  training: PretrainOptions,
  options: PretrainCommandOptions,
): void {
  const test = findLearningRate(model, tokenizer, corpus, training);
  const picture = join(options.out, "learning-rate.svg");
  writeFileAtomic(picture, learningRateSvg(test));
  printResult(options, { ...test, picture }, () =>
    [
      `A learning rate of ${test.suggestion} is suggested (${test.points.length} steps were tried)`,
      `Its picture is in ${picture}; train with --learning-rate ${test.suggestion}`,
    ].join("\n"),
  );
}

/** Says how long the run will take; true when it ends here. */
function announce(
  model: Model,
  tokenizer: Tokenizer,
  corpus: PretrainCorpus,
  training: PretrainOptions,
  options: PretrainCommandOptions,
  progress: ProgressReporter,
): boolean {
  if (options.dryRun !== true && options.quiet === true) return false;
  const { steps } = options;
  const estimate =
    options.vCycle === undefined || steps === undefined
      ? estimateRun(model, tokenizer, corpus, training)
      : estimateVCycle(model, tokenizer, corpus, training, { ...options, steps });
  const length = `about ${formatDuration(estimate.seconds)}, ${formatBytes(estimate.residentBytes)}`;
  if (options.dryRun === true) {
    printResult(options, estimate, () => `${length}; ${estimate.steps} steps`);
    return true;
  }
  progress.note(`${length}; --dry-run stops here`);
  return false;
}

/** `cloze pretrain` */
export function addPretrain(program: Command): void {
  const command = program
    .command("pretrain")
    .description("train a language model on texts of any size: text, JSON lines, Parquet, CSV, packed or not")
    .argument("<sources...>", "files, folders or patterns; each is a source of its own for --weights")
    .option("--tokenizer <path>", "tokenizer.json or its folder (cloze tokenizer train makes one)")
    .option(`--model ${modelArgument}`, "go on from this model, with its tokenizer, instead of from nothing")
    .option(
      "--extend-vocabulary <pieces>",
      "with --model: add pieces that these texts have often to its vocabulary",
      wholeNumber(),
    )
    .option("--preset <name>", "a new model and its training as a paper has them, see below: modernbert-tiny")
    .addOption(new Option("--size <size>", "size of a new model (default: mini)").choices(Object.keys(modelSizes)))
    .addOption(
      new Option(
        "--direction <way>",
        "what tokens of a new model see: all, those before them, or those and a prefix",
      ).choices(["bidirectional", "causal", "prefix"]),
    )
    .addOption(
      new Option(
        "--positions <start>",
        "positions in the embeddings: none, as position-prediction wants, or new ones (default: the model's)",
      ).choices(positionStarts),
    )
    .option(
      "--segments <count>",
      "segments of the model, at least those that it has: 6 for a query and five candidates",
      wholeNumber(2),
    )
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
    .option("--objective <type>", "what the model is asked, see below (default: masked-language)")
    .option("--set <name=value>", "an option of the objective, see below; may be repeated", setting)
    .addOption(
      new Option("--masking <unit>", "what is chosen together: the option unit").choices([
        "token",
        "whole-word",
        "span",
      ]),
    )
    .option("--masking-rate <share>", "share of the tokens that are chosen: the option rate", numberBetween(0, 1))
    .option(
      "--validate-every <steps>",
      "steps between losses on held-out documents (default: ten a run)",
      wholeNumber(),
    )
    .option("--dry-run", "say how long the run will take and how much memory, and stop")
    .option("--find-learning-rate", "train with a growing learning rate instead, and say which one to take")
    .addHelpText("after", () => `\nPresets:\n${presetsHelp()}`)
    .addHelpText("after", () => `\nObjectives, and their options (--set name=value):\n${objectivesHelp()}`);
  withProbeOptions(withCorpusOptions(withVCycleOptions(command)));
  withTrainingOptions(command).action(async (sources: string[], options: PretrainCommandOptions) => {
    if (options.findLearningRate !== true) checkLength(options);
    const preset = options.preset === undefined ? undefined : pretrainingPreset(options.preset);
    if (preset !== undefined && options.size !== undefined) {
      throw new ClozeError("OPTION_CONFLICT", "A preset has its size in its name", {
        remedy: `Leave --size out, as in --preset ${preset.name.split("-")[0]}-${options.size}.`,
      });
    }
    const objective = objectiveOf(options, preset);
    const { architecture, input } = objectivePart(objective);
    const progress = progressFor(options);
    const start = options.model === undefined ? undefined : await modelFolder(options.model, options);
    const named = options.tokenizer ?? start;
    let tokenizer = named === undefined ? tokenizerFor(options) : loadTokenizer(named);
    let model = startModel(start, tokenizer, architecture, preset, options);
    if (options.positions !== undefined) {
      const given = model;
      model = changePositions(given, options.positions, { seed: options.seed });
      given.dispose();
    }
    if (options.segments !== undefined) {
      const given = model;
      model = extendSegments(given, options.segments);
      given.dispose();
    }
    checkVocabulary(model, tokenizer);
    checkObjective(objective, model.config, model.head.config);
    checkVCycle(model, options);
    if (options.extendVocabulary !== undefined) {
      if (start === undefined) {
        throw new ClozeError("OPTION_CONFLICT", "--extend-vocabulary goes with --model", {
          remedy: "A new model gets the vocabulary of its tokenizer: cloze tokenizer train learns one.",
        });
      }
      progress.note("Learning new pieces …");
      // From the same texts a resumed run learns the same ones.
      const texts = await sampleDocuments(sources, options);
      const extended = extendVocabulary(model, tokenizer, { texts }, { count: options.extendVocabulary });
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
    const probes = await openProbes(options, progress);
    const corpus =
      input === "documents"
        ? await documentCorpus(sources, tokenizer, options, progress)
        : await corpusFor(sources, tokenizer, options, progress);
    try {
      const { steps, probeEvery } = options;
      // From nothing, small models take larger steps.
      const usualRate = preset?.learningRate ?? (options.model === undefined ? 5e-4 : 5e-5);
      const training: PretrainOptions = {
        ...preset?.training,
        steps,
        minutes: options.minutes,
        learningRate: options.learningRate ?? usualRate,
        ...(options.weightDecay === undefined ? {} : { weightDecay: options.weightDecay }),
        batchTokens: options.batchTokens,
        maxLength: options.maxLength,
        accumulate: options.accumulate,
        recompute: options.recompute,
        average: options.average === undefined ? undefined : { decay: options.average },
        objective,
        weights: options.weights,
        ...(options.crossDocuments === undefined ? {} : { crossDocuments: options.crossDocuments }),
        validateEvery: options.validateEvery ?? (steps === undefined ? 500 : Math.ceil(steps / 10)),
        validationTokens: 1 << 15,
        seed: options.seed,
        folder: options.out,
        resume: options.resume,
        checkpointMinutes: options.checkpointMinutes,
        progress,
        inspect: ({ save }) => save?.(options.out),
        async afterStep(step) {
          if (probeEvery !== undefined && step % probeEvery === 0) await probes.run(model, tokenizer, step);
          return false;
        },
      };
      if (options.findLearningRate === true) {
        testLearningRate(model, tokenizer, corpus, training, options);
        return;
      }
      if (announce(model, tokenizer, corpus, training, options, progress)) return;
      const result =
        options.vCycle === undefined || steps === undefined
          ? await pretrain(model, tokenizer, corpus, training)
          : await runVCycle(model, tokenizer, corpus, training, { ...options, steps });
      const last = probes.records.at(-1)?.step;
      if (!result.interrupted && last !== result.steps) await probes.run(model, tokenizer, result.steps);
      if (options.lora !== undefined) model = mergeLora(model);
      saveModel(model, options.out);
      tokenizer.save(options.out);
      printRun(options, { ...result, ...(probes.records.length > 0 ? { probes: probes.records } : {}) });
    } finally {
      corpus.close();
      model.dispose();
    }
  });
}
