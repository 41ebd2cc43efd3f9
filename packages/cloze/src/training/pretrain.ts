// Pre-training of a model on a token store, with whatever objective.
import { createAdamW, decayGroups } from "@cloze/tensor";
import { type BatchSource, budgetBatches } from "../data/batch-source.js";
import type { DocumentSource } from "../data/document-source.js";
import { packSequences } from "../data/packed-batch.js";
import { randomSource } from "../data/random-source.js";
import type { TokenStore } from "../data/token-store.js";
import { ClozeError } from "../errors.js";
import type { Model } from "../families/model.js";
import {
  createObjective,
  type Objective,
  type ObjectiveConfigInput,
  type ObjectiveVocabulary,
  parseObjective,
} from "../objectives/index.js";
import type { Tokenizer } from "../text/index.js";
import { type AverageOptions, averageWeights } from "./policies/average.js";
import { trainedParameters } from "./policies/lora.js";
import { type TrainOptions, type TrainResult, train } from "./trainer.js";

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
  /** Tokens of a batch. Default 4096. */
  batchTokens?: number;
  /** Longest sequence, special tokens included; longer ones are cut into windows. Default: the model's positions. */
  maxLength?: number;
  /** Layers run again in the backward pass instead of keeping what it needs; see `EncoderOptions.recompute`. */
  recompute?: boolean;
  /** The model at the end has the averages of the weights along the run. Default: those of the last step. */
  average?: AverageOptions;
  /** Called after each step; true ends the run as if its steps were over. */
  afterStep?: (step: number) => boolean | Promise<boolean>;
}

/** What pre-training reads: tokens in a row, or documents for objectives that ask for their structure. */
export type PretrainCorpus = TokenStore | DocumentSource;

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

const isDocuments = (corpus: PretrainCorpus): corpus is DocumentSource => "document" in corpus;

/** Batches of sequences with special tokens around them, prepared for the objective. */
function sequenceBatches(
  store: TokenStore,
  { prepare }: Pick<Required<Objective>, "prepare">,
  { clsId, sepId }: ObjectiveVocabulary,
  { maxLength, batchTokens, seed }: { maxLength: number; batchTokens: number; seed: number },
): BatchSource<unknown> {
  const room = maxLength - 2;
  const cut = (ids: Int32Array, index: number): Int32Array => {
    // A long document shows another window each time.
    const start = ids.length > room ? Math.floor(randomSource(seed, 2, index)() * (ids.length - room + 1)) : 0;
    return Int32Array.from([clsId, ...ids.subarray(start, start + room), sepId]);
  };
  return budgetBatches(
    store.count,
    (position) => Math.min(room, store.length(position)) + 2,
    batchTokens,
    seed,
    (positions, index) => {
      const sequences = Array.from(positions, (position, i) => ({
        ids: cut(store.sequence(position), index * 4096 + i),
      }));
      return prepare(packSequences(sequences), randomSource(seed, 3, index));
    },
  );
}

/** Batches that the objective makes of documents. */
const documentBatches = (
  documents: DocumentSource,
  { draw }: Pick<Required<Objective>, "draw">,
  { batchTokens, seed }: { batchTokens: number; seed: number },
): BatchSource<unknown> =>
  budgetBatches(
    documents.count,
    (position) => documents.length(position),
    batchTokens,
    seed,
    (positions, index) => draw(documents, positions, randomSource(seed, 3, index)),
  );

function batchesFor(
  corpus: PretrainCorpus,
  { prepare, draw }: Objective,
  vocabulary: ObjectiveVocabulary,
  options: { maxLength: number; batchTokens: number; seed: number },
): BatchSource<unknown> {
  if (isDocuments(corpus)) {
    if (draw !== undefined) return documentBatches(corpus, { draw }, options);
  } else if (prepare !== undefined) {
    return sequenceBatches(corpus, { prepare }, vocabulary, options);
  }
  throw new ClozeError("OBJECTIVE_CORPUS", "The objective does not read such a corpus", {
    expected: prepare === undefined ? "documents with paragraphs and sentences" : "a token store",
    received: isDocuments(corpus) ? "documents" : "a token store",
  });
}

/** The objective of a run and its batches. */
function preparePretraining(
  model: Model,
  tokenizer: ObjectiveVocabulary,
  corpus: PretrainCorpus,
  options: PretrainOptions,
) {
  const { batchTokens = 4096, seed = 1 } = options;
  const { maxPositions } = model.encoder.config;
  const maxLength = Math.min(options.maxLength ?? maxPositions, maxPositions);
  checkVocabulary(model, tokenizer);
  const config = parseObjective(options.objective ?? { type: "masked-language" });
  const objective = createObjective(config, { model, vocabulary: tokenizer, maxLength, seed });
  try {
    const source = batchesFor(corpus, objective, tokenizer, { maxLength, batchTokens, seed });
    return { config, objective, source, batchTokens, maxLength };
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
  const { objective, source } = preparePretraining(model, tokenizer, corpus, options);
  try {
    const batches = 8;
    let total = 0;
    for (let i = 0; i < batches; i++) total += objective.flops(source.next());
    return (total / batches) * (options.accumulate ?? 1);
  } finally {
    objective.dispose();
  }
}

/**
 * Trains a model with an objective, masked words by default. Sequences of a store get the tokenizer's [CLS] and [SEP], and
 * are corrupted anew each time they come. What the objective trains beside the model stands in checkpoints and is dropped
 * at the end.
 *
 * @throws EMBEDDER_VOCABULARY, OBJECTIVE_UNKNOWN, OBJECTIVE_OPTIONS, OBJECTIVE_COMBINATION, OBJECTIVE_CORPUS, HEAD_MISMATCH,
 * and what `train` and the objective throw
 * @example
 * const result = await pretrain(model, tokenizer, store, { steps: 1000, folder: "run", objective: { type: "masked-language" } });
 */
export async function pretrain(
  model: Model,
  tokenizer: ObjectiveVocabulary,
  corpus: PretrainCorpus,
  options: PretrainOptions = {},
): Promise<TrainResult> {
  const { learningRate = 1e-4, weightDecay = 0.01, average, recompute } = options;
  const { config, objective, source, batchTokens, maxLength } = preparePretraining(model, tokenizer, corpus, options);
  try {
    // Checkpoints hold what is trained: beside adapters, the rest is where it came from.
    const trained = new Map([...trainedParameters(model), ...objective.parameters]);
    const plain = createAdamW(decayGroups(trained, { learningRate, weightDecay }));
    const averaging = average === undefined ? undefined : averageWeights(plain, trained, average);
    const optimizer = averaging ?? plain;
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
          batchTokens,
          maxLength,
          objective: config,
          count: corpus.count,
          tokens: corpus.tokens,
          average,
        },
        loss: (batch, { step, seed: batchSeed }) => objective.loss(batch, { step, seed: batchSeed, recompute }),
        afterStep(step) {
          objective.afterStep?.(step);
          return options.afterStep?.(step) ?? false;
        },
      });
      if (!result.interrupted) averaging?.apply();
      return result;
    } finally {
      optimizer.dispose();
    }
  } finally {
    objective.dispose();
  }
}
