// Pre-training in recipes: a small model with an objective, for steps or for an equal count of work.
import type { EncoderConfigInput } from "../encoder/config.js";
import { createModel, type Model } from "../families/index.js";
import { type ObjectiveVocabulary, objectivePart, parseObjective } from "../objectives/index.js";
import { type PretrainCorpus, type PretrainOptions, pretrain, pretrainFlops } from "../training/pretrain.js";
import { warmupLinear } from "../training/trainer.js";

type ObjectiveInput = NonNullable<PretrainOptions["objective"]>;

export interface PretrainArmOptions extends Omit<PretrainOptions, "objective" | "steps"> {
  readonly encoder: EncoderConfigInput;
  readonly corpus: PretrainCorpus;
  readonly vocabulary: ObjectiveVocabulary;
  /** Null: the model keeps its first weights. */
  readonly objective: ObjectiveInput | null;
  readonly seed: number;
  /** Goes on with this model. */
  readonly model?: Model;
  readonly steps?: number;
  /** Instead of steps: multiplications and additions, forwards and backwards. */
  readonly flops?: number;
}

/** A model as an objective trains it, with new weights. */
export const newModel = (encoder: EncoderConfigInput, objective: ObjectiveInput, seed: number): Model =>
  createModel({ architecture: objectivePart(parseObjective(objective)).architecture, config: encoder, seed });

/**
 * Pre-trains a new model: 10 % warm-up, linear fall. Arms of a recipe have the same first weights for the same seed.
 *
 * @returns the model, its last mean loss, steps and seconds
 */
export async function pretrainArm(options: PretrainArmOptions) {
  const { encoder, corpus, vocabulary, objective, seed, flops, steps: given, model: before, ...rest } = options;
  if (objective === null) {
    const model = before ?? newModel(encoder, { type: "masked-language" }, seed);
    return { model, loss: Number.NaN, steps: 0, seconds: 0 };
  }
  const model = before ?? newModel(encoder, objective, seed);
  const how = { schedule: warmupLinear(0.1), ...rest, objective, seed };
  const steps =
    flops === undefined
      ? (given ?? 100)
      : Math.max(1, Math.round(flops / pretrainFlops(model, vocabulary, corpus, how)));
  const { loss, seconds } = await pretrain(model, vocabulary, corpus, { ...how, steps });
  return { model, loss, steps, seconds };
}
