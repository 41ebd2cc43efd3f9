// The V-cycle (arXiv 2404.07999): train a little, shrink, train the small model, grow it again, blend, and finish.
import { copyInto, mixInPlace, sameShape } from "@cloze/tensor";
import { ClozeError } from "../../errors.js";
import type { Model } from "../../families/index.js";
import type { ObjectiveVocabulary } from "../../objectives/index.js";
import { type PretrainCorpus, type PretrainOptions, pretrain, pretrainFlops } from "../pretrain.js";
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

export interface VCycleOptions extends Omit<PretrainOptions, "minutes" | "folder" | "resume" | "steps"> {
  /** Steps of the model itself after the cycle. */
  readonly steps: number;
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

/**
 * Pre-trains a model by a V-cycle. Each stage starts with a fresh optimizer, the first one alone with a warm-up. The model
 * given is trained in place.
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
): Promise<{ readonly stages: readonly VCycleStage[]; readonly interrupted: boolean }> {
  const { steps, levels = 2, alpha = 0.5, smallRate = 2, learningRate = 1e-4, onStage, onBlend, ...rest } = options;
  const { initialSteps = Math.ceil(0.05 * steps), smallSteps = Math.ceil(0.5 * steps), seed = 1 } = options;
  const stages: VCycleStage[] = [];
  let interrupted = false;
  const train = async (one: Model, level: number, phase: VCycleStage["phase"], count: number): Promise<void> => {
    if (interrupted || count === 0) return;
    const schedule = stages.length === 0 ? (options.schedule ?? warmupLinear(0.06)) : warmupLinear(0);
    const how = {
      ...rest,
      schedule,
      steps: count,
      learningRate: level === 1 ? learningRate : learningRate * smallRate,
      // Each stage sees other batches.
      seed: seed + 1000 * stages.length,
    };
    const flops = count * pretrainFlops(one, tokenizer, corpus, how);
    const result = await pretrain(one, tokenizer, corpus, how);
    interrupted = result.interrupted;
    const stage = { level, phase, steps: result.steps, loss: result.loss, flops };
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
    const scheme = options.schemes?.[level - 1] ?? halfScheme(one.config);
    const small = coalesce(one, scheme);
    try {
      await cycle(small, level + 1);
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
  return { stages, interrupted };
}
