// Options of `cloze pretrain` for training through smaller copies of the model.
import type { Command } from "commander";
import { ClozeError } from "../errors.js";
import type { Model } from "../families/index.js";
import type { ObjectiveVocabulary } from "../objectives/index.js";
import { pretrainVCycle, type VCycleStage, vCycleSteps } from "../training/multi-level/v-cycle.js";
import { checkLevels, coalesce } from "../training/multi-level/width-and-depth.js";
import type { PretrainCorpus, PretrainOptions, PretrainResult } from "../training/pretrain.js";
import { estimateRun, type RunEstimate } from "../training/run-estimate.js";
import { numberBetween, wholeNumber } from "./arguments.js";

export interface VCycleCommandOptions {
  vCycle?: number | true;
  blend: number;
  steps?: number;
  minutes?: number;
  lora?: number;
  probeEvery?: number;
}

/** Adds --v-cycle and --blend. */
export const withVCycleOptions = (command: Command): Command =>
  command
    .option(
      "--v-cycle [levels]",
      "train a little, then a copy of half the width and depth for half of --steps, then the grown copy blended with the model for --steps (arXiv 2404.07999); models in all (2)",
      wholeNumber(2),
    )
    .option("--blend <share>", "with --v-cycle: share of the grown copy", numberBetween(0, 1), 0.5);

const levelsOf = ({ vCycle }: VCycleCommandOptions): number => (typeof vCycle === "number" ? vCycle : 2);

/** Refuses what does not go with --v-cycle. @throws OPTION_CONFLICT, MULTI_LEVEL_UNSUPPORTED */
export function checkVCycle(model: Model, options: VCycleCommandOptions): void {
  if (options.vCycle === undefined) return;
  const others = {
    "--minutes": options.steps === undefined,
    "--lora": options.lora !== undefined,
    "--probe-every": options.probeEvery !== undefined,
  };
  const other = Object.entries(others).find(([, given]) => given)?.[0];
  if (other !== undefined) {
    throw new ClozeError("OPTION_CONFLICT", `--v-cycle does not go with ${other}`, {
      remedy: other === "--minutes" ? "Say how long with --steps." : "Leave one of them out.",
    });
  }
  checkLevels(model.config, levelsOf(options));
}

/** What the stages of all levels take together. */
export function estimateVCycle(
  model: Model,
  tokenizer: ObjectiveVocabulary,
  corpus: PretrainCorpus,
  training: PretrainOptions,
  options: VCycleCommandOptions & { steps: number },
): RunEstimate {
  const { initialSteps: initial, smallSteps: small } = vCycleSteps(options.steps);
  const levels = levelsOf(options);
  const first = estimateRun(model, tokenizer, corpus, { ...training, steps: initial + options.steps });
  let { seconds, steps } = first;
  let copy = model;
  for (let level = 2; level <= levels; level++) {
    const smaller = coalesce(copy);
    if (copy !== model) copy.dispose();
    copy = smaller;
    const wanted = level === levels ? small : initial + small;
    const estimate = estimateRun(copy, tokenizer, corpus, { ...training, steps: wanted });
    seconds += estimate.seconds;
    steps += estimate.steps;
  }
  if (copy !== model) copy.dispose();
  return { ...first, seconds, steps };
}

/** Pre-trains by a V-cycle; what the last stage gave, and all stages. @throws what `pretrainVCycle` throws */
export async function runVCycle(
  model: Model,
  tokenizer: ObjectiveVocabulary,
  corpus: PretrainCorpus,
  training: PretrainOptions,
  options: VCycleCommandOptions & { steps: number },
): Promise<PretrainResult & { stages: readonly VCycleStage[] }> {
  const { stages, last } = await pretrainVCycle(model, tokenizer, corpus, {
    ...training,
    steps: options.steps,
    levels: levelsOf(options),
    alpha: options.blend,
    // Steps of a stage are not those of the model that probes are of.
    afterStep: undefined,
  });
  if (last === undefined) throw new ClozeError("TRAINING_LENGTH", "The cycle has no steps", { remedy: "Add --steps." });
  return { ...last, stages };
}
