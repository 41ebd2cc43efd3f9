// Pre-training of a model on a corpus, with whatever objective.
import { createAdamW, decayGroups, type Optimizer, type Tensor } from "@cloze/tensor";
import type { BatchSource } from "../data/batch-source.js";
import { createWarnings, type DataWarning } from "../data/readers/warnings.js";
import { ClozeError } from "../errors.js";
import type { Model } from "../families/model.js";
import {
  createObjective,
  type Objective,
  type ObjectiveConfig,
  type ObjectiveConfigInput,
  type ObjectiveVocabulary,
  parseObjective,
} from "../objectives/index.js";
import type { Tokenizer } from "../text/index.js";
import { type AverageOptions, averageWeights } from "./policies/average.js";
import { trainedParameters } from "./policies/lora.js";
import {
  batchesFor,
  corpusSettings,
  holdsOut,
  type PretrainCorpus,
  type PretrainingBatchOptions,
  textsOf,
} from "./pretraining-batches.js";
import { type LossFunction, type TrainOptions, type TrainResult, train } from "./trainer.js";
import { createValidation, type ValidationRecord } from "./validation-loss.js";

export type { PretrainCorpus } from "./pretraining-batches.js";

type RunOptions = Pick<
  TrainOptions<unknown>,
  | "steps"
  | "minutes"
  | "folder"
  | "resume"
  | "checkpointMinutes"
  | "accumulate"
  | "schedule"
  | "seed"
  | "progress"
  | "shouldStop"
>;

export interface PretrainOptions extends RunOptions {
  /** What the model is asked: `{ type, …options }`, see `objectives`. Default `{ type: "masked-language" }`. */
  objective?: ObjectiveConfigInput | { readonly type: string; readonly [option: string]: unknown };
  /** Highest learning rate. Default 1e-4, as BERT. */
  learningRate?: number;
  /** Default 0.01. */
  weightDecay?: number;
  /** Adam's second decay rate and the number beside its root. Default 0.999 and 1e-8. */
  beta2?: number;
  epsilon?: number;
  /** Tokens of a batch. Default 4096. */
  batchTokens?: number;
  /** Longest sequence, special tokens included; longer ones are cut into windows. Default: the model's positions. */
  maxLength?: number;
  /** Layers run again in the backward pass instead of keeping what it needs; see `EncoderOptions.recompute`. */
  recompute?: boolean;
  /** The model at the end has the averages of the weights along the run. Default: those of the last step. */
  average?: AverageOptions;
  /** Of a corpus: shares of its sources in the tokens, in proportion. Default: every token once an epoch. */
  weights?: readonly number[];
  /** Of a corpus: sequences run on from one document into the next, with a separator between. Default false. */
  crossDocuments?: boolean;
  /** Steps between measurements of the loss on what a corpus holds out; also at the end. Default: never. */
  validateEvery?: number;
  /** Tokens of a measurement, at most. Default 131,072. */
  validationTokens?: number;
  /** Called with the objective when the run is over, before what it has beside the model is freed. */
  inspect?: (objective: Objective, model: Model) => void;
  /** Called after each step; true ends the run as if its steps were over. */
  afterStep?: (step: number) => boolean | Promise<boolean>;
}

/** @throws EMBEDDER_VOCABULARY when the tokenizer gives ids that the model has no row for */
export function checkVocabulary({ encoder }: Model, tokenizer: Pick<Tokenizer, "vocabularySize">): void {
  const { vocabularySize } = encoder.config;
  if (tokenizer.vocabularySize <= vocabularySize) return;
  throw new ClozeError("EMBEDDER_VOCABULARY", "The tokenizer does not fit the model", {
    expected: `at most ${vocabularySize} entries`,
    received: String(tokenizer.vocabularySize),
    remedy: "Use the tokenizer that the model was trained with.",
  });
}

export interface PretrainResult extends TrainResult {
  /** Losses on what the corpus holds out. */
  readonly validation: readonly ValidationRecord[];
  /** What was odd about the options and the corpus. */
  readonly warnings: readonly DataWarning[];
}

/** A run before its first step: what its loop needs, and what measures it beforehand. */
export interface Pretraining {
  readonly config: ObjectiveConfig;
  readonly objective: Objective;
  readonly vocabulary: ObjectiveVocabulary;
  readonly batches: PretrainingBatchOptions;
  readonly source: BatchSource<unknown>;
  /** What steps change, and what checkpoints hold beside it. */
  readonly trained: Map<string, Tensor>;
  readonly loss: LossFunction<unknown>;
  readonly warnings: readonly DataWarning[];
  createOptimizer(): Optimizer;
  /** Frees what the objective made; the model stays. */
  dispose(): void;
}

/**
 * Makes all that a run needs. Dispose it after the run.
 *
 * @throws what `pretrain` throws before its first step
 */
export function preparePretraining(
  model: Model,
  tokenizer: ObjectiveVocabulary,
  corpus: PretrainCorpus,
  options: PretrainOptions,
): Pretraining {
  const { learningRate = 1e-4, weightDecay = 0.01, batchTokens = 4096, seed = 1, recompute } = options;
  const { beta2, epsilon, weights, crossDocuments } = options;
  const { maxPositions } = model.encoder.config;
  const maxLength = Math.min(options.maxLength ?? maxPositions, maxPositions);
  checkVocabulary(model, tokenizer);
  const config = parseObjective(options.objective ?? { type: "masked-language" });
  const texts = textsOf(corpus);
  const warnings = createWarnings();
  const frame = { model, vocabulary: tokenizer, maxLength, batchTokens, seed, texts, warnings };
  const objective = createObjective(config, frame);
  try {
    const batches = { maxLength, batchTokens, seed, weights, crossDocuments };
    // Checkpoints hold what is trained: beside adapters, the rest is where it came from.
    const trained = new Map([...trainedParameters(model), ...objective.parameters]);
    return {
      config,
      objective,
      vocabulary: tokenizer,
      batches,
      source: batchesFor(corpus, objective, tokenizer, batches),
      trained,
      loss: (batch, { step, seed: batchSeed }) => objective.loss(batch, { step, seed: batchSeed, recompute }),
      warnings: warnings.list(),
      createOptimizer: () => createAdamW(decayGroups(trained, { learningRate, weightDecay }), { beta2, epsilon }),
      dispose: () => objective.dispose(),
    };
  } catch (error) {
    objective.dispose();
    throw error;
  }
}

/**
 * Multiplications and additions of a step of `pretrain` with these options, forwards and backwards: the mean of its first
 * batches. Nothing is trained.
 *
 * @throws what `pretrain` throws before its first step
 */
export function pretrainFlops(
  model: Model,
  tokenizer: ObjectiveVocabulary,
  corpus: PretrainCorpus,
  options: PretrainOptions = {},
): number {
  const { objective, source, dispose } = preparePretraining(model, tokenizer, corpus, options);
  try {
    const batches = 8;
    let total = 0;
    for (let i = 0; i < batches; i++) total += objective.flops(source.next());
    return (total / batches) * (options.accumulate ?? 1);
  } finally {
    dispose();
  }
}

/**
 * Trains a model with an objective, masked words by default. Sequences get the tokenizer's [CLS] and [SEP], and are corrupted
 * anew each time they come. What the objective trains beside the model stands in checkpoints and is dropped at the end.
 *
 * @throws EMBEDDER_VOCABULARY, OBJECTIVE_UNKNOWN, OBJECTIVE_OPTIONS, OBJECTIVE_COMBINATION, OBJECTIVE_CORPUS, HEAD_MISMATCH,
 * CORPUS_WEIGHTS, and what `train` and the objective throw
 * @example
 * const { corpus } = await buildCorpus({ sources: ["books"], tokenizer, folder: "run/corpus" });
 * const result = await pretrain(model, tokenizer, corpus, { steps: 1000, folder: "run", objective: { type: "masked-language" } });
 */
export async function pretrain(
  model: Model,
  tokenizer: ObjectiveVocabulary,
  corpus: PretrainCorpus,
  options: PretrainOptions = {},
): Promise<PretrainResult> {
  const { learningRate = 1e-4, weightDecay = 0.01, average, weights, crossDocuments, validateEvery } = options;
  const prepared = preparePretraining(model, tokenizer, corpus, options);
  const { config, objective, batches, trained, source } = prepared;
  for (const { code, message, count, first } of prepared.warnings) {
    options.progress?.note(`${code}: ${count} × ${message} (first: ${first})`);
  }
  const plain = prepared.createOptimizer();
  try {
    const averaging = average === undefined ? undefined : averageWeights(plain, trained, average);
    const optimizer = averaging ?? plain;
    const validation =
      validateEvery !== undefined && holdsOut(corpus) ? createValidation(corpus, prepared, options) : undefined;
    try {
      const result = await train<unknown>({
        ...options,
        parameters: new Map([...trained, ...objective.state]),
        optimizer,
        source,
        task: "pretrain",
        tokens: (batch) => objective.tokens(batch),
        settings: {
          learningRate,
          weightDecay,
          beta2: options.beta2,
          epsilon: options.epsilon,
          batchTokens: batches.batchTokens,
          maxLength: batches.maxLength,
          objective: config,
          ...corpusSettings(corpus),
          weights,
          crossDocuments,
          average,
        },
        loss: prepared.loss,
        afterStep(step) {
          objective.afterStep?.(step);
          if (validateEvery !== undefined && step % validateEvery === 0) validation?.measure(step);
          return options.afterStep?.(step) ?? false;
        },
      });
      if (!result.interrupted) {
        averaging?.apply();
        validation?.finish(result.steps);
      }
      options.inspect?.(objective, model);
      return { ...result, validation: validation?.records() ?? [], warnings: prepared.warnings };
    } finally {
      optimizer.dispose();
    }
  } finally {
    prepared.dispose();
  }
}
