// The V-cycle (arXiv 2404.07999): train a little, shrink, train the small model, grow it again, blend, and finish.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { copyInto, mixInPlace, sameShape } from "@cloze/tensor";
import { ClozeError } from "../../errors.js";
import type { Model } from "../../families/index.js";
import type { ObjectiveVocabulary } from "../../objectives/index.js";
import { findCheckpoint, removeCheckpoints } from "../checkpoint.js";
import {
  type PretrainCorpus,
  type PretrainOptions,
  type PretrainResult,
  pretrain,
  pretrainFlops,
} from "../pretrain.js";
import { warmupLinear } from "../trainer.js";
import { coalesce, decoalesce, halfScheme, type LevelScheme } from "./width-and-depth.js";

/**
 * target = (1 - alpha) target + alpha other, for every parameter.
 *
 * @throws MULTI_LEVEL_MISMATCH for models of other sizes
 */
export function interpolate(target: Model, other: Model, alpha: number): void {
  for (const [name, value] of target.parameters) {
    const from = other.parameters.get(name);
    if (from === undefined || !sameShape(from.shape, value.shape)) {
      throw new ClozeError("MULTI_LEVEL_MISMATCH", "Models that are blended have the same parameters", {
        expected: `${name} [${value.shape.join(", ")}]`,
        received: from === undefined ? "none" : `[${from.shape.join(", ")}]`,
      });
    }
    if (alpha === 1) copyInto(value, from);
    else mixInPlace(value, from, alpha);
  }
}

export interface VCycleOptions extends Omit<PretrainOptions, "minutes" | "steps"> {
  /** Steps of the model itself after the cycle. */
  readonly steps: number;
  /** Each stage has a folder in it, `stage-1` and so on, with its checkpoints. */
  readonly folder?: string;
  /** Goes through the cycle again from the checkpoints of its stages: what was done is read, not trained. */
  readonly resume?: boolean;
  /** Models, the given one included. Default 2. */
  readonly levels?: number;
  /** Steps of each level before it is made smaller. Default: 5 % of `steps`. */
  readonly initialSteps?: number;
  /** Steps of each smaller model. Default: half of `steps`. */
  readonly smallSteps?: number;
  /** Share of the grown model. Default 0.5. */
  readonly alpha?: number;
  /** The smaller models' learning rate, times the larger's. Default 2. */
  readonly smallRate?: number;
  /** By level, from the largest. Default: halves. */
  readonly schemes?: readonly Required<LevelScheme>[];
  /** Called after each stage. */
  readonly onStage?: (stage: VCycleStage, model: Model) => void;
  /** Called when a level has been blended with what was grown, before it is trained on. */
  readonly onBlend?: (level: number, model: Model) => void;
}

export interface VCycleStage {
  /** 1: the given model. */
  readonly level: number;
  readonly phase: "initial" | "small" | "final";
  readonly steps: number;
  readonly loss: number;
  /** Multiplications and additions. */
  readonly flops: number;
}

/** Steps of the stages beside the last one, where they are not told. */
export const vCycleSteps = (steps: number): { initialSteps: number; smallSteps: number } => ({
  initialSteps: Math.ceil(0.05 * steps),
  smallSteps: Math.ceil(0.5 * steps),
});

export interface VCycleResult {
  /** In the order in which they ran. */
  readonly stages: readonly VCycleStage[];
  /** What the last of them gave. */
  readonly last: PretrainResult | undefined;
  readonly interrupted: boolean;
}

/**
 * Pre-trains a model by a V-cycle. Each stage starts with a fresh optimizer, the first one alone with a warm-up. The model
 * given is trained in place. A resumed cycle gives the same parameters as one that was not interrupted.
 *
 * @throws MULTI_LEVEL_UNSUPPORTED, and what `pretrain` throws
 * @example
 * const { stages } = await pretrainVCycle(model, tokenizer, corpus, { steps: 10_000, alpha: 0.5, learningRate: 1e-4 });
 */
export async function pretrainVCycle(
  model: Model,
  tokenizer: ObjectiveVocabulary,
  corpus: PretrainCorpus,
  options: VCycleOptions,
): Promise<VCycleResult> {
  const { steps, levels = 2, alpha = 0.5, smallRate = 2, learningRate = 1e-4, folder, resume } = options;
  const { onStage, onBlend, ...rest } = options;
  const { initialSteps, smallSteps } = { ...vCycleSteps(steps), ...options };
  const { seed = 1 } = options;
  const stages: VCycleStage[] = [];
  const count = 2 * levels - 1;
  const folderOf = (stage: number): string | undefined =>
    folder === undefined ? undefined : join(folder, `stage-${stage + 1}`);
  let last: PretrainResult | undefined;
  const train = async (one: Model, level: number, phase: VCycleStage["phase"], wanted: number): Promise<void> => {
    if (wanted === 0) return;
    const number = stages.length;
    const own = folderOf(number);
    const goesOn = resume === true && own !== undefined && findCheckpoint(own) !== undefined;
    // What an earlier cycle left of later stages does not follow from this one.
    for (let later = number + 1; !goesOn && later < count; later++) {
      const stale = folderOf(later);
      if (stale !== undefined && existsSync(stale)) removeCheckpoints(stale);
    }
    const how = {
      ...rest,
      schedule: number === 0 ? (options.schedule ?? warmupLinear(0.06)) : warmupLinear(0),
      steps: wanted,
      learningRate: level === 1 ? learningRate : learningRate * smallRate,
      // Each stage sees other batches.
      seed: seed + 1000 * number,
      folder: own,
      resume: goesOn,
    };
    options.progress?.note(
      `Stage ${number + 1} of ${count}: ${wanted} steps, ${one.config.layers.length} layers of ${one.config.hiddenSize}`,
    );
    const flops = wanted * pretrainFlops(one, tokenizer, corpus, how);
    last = await pretrain(one, tokenizer, corpus, how);
    const stage = { level, phase, steps: last.steps, loss: last.loss, flops };
    stages.push(stage);
    onStage?.(stage, one);
  };
  /** Trains a level and all below it. */
  const cycle = async (one: Model, level: number): Promise<void> => {
    if (level === levels) {
      await train(one, level, "small", smallSteps);
      return;
    }
    await train(one, level, "initial", initialSteps);
    if (last?.interrupted) return;
    const scheme = options.schemes?.[level - 1] ?? halfScheme(one.config);
    const small = coalesce(one, scheme);
    try {
      await cycle(small, level + 1);
      if (last?.interrupted) return;
      const grown = decoalesce(small, scheme);
      interpolate(one, grown, alpha);
      grown.dispose();
      onBlend?.(level, one);
    } finally {
      small.dispose();
    }
    await train(one, level, level === 1 ? "final" : "small", level === 1 ? steps : smallSteps);
  };
  await cycle(model, 1);
  return { stages, last, interrupted: last?.interrupted ?? false };
}
