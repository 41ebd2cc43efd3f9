// Masked-language pre-training of a model on a token store.
import { createAdamW, decayGroups } from "@cloze/tensor";
import { budgetBatches } from "../data/batch-source.js";
import { packSequences } from "../data/packed-batch.js";
import { randomSource } from "../data/random-source.js";
import type { TokenStore } from "../data/token-store.js";
import { ClozeError } from "../errors.js";
import type { Model } from "../families/model.js";
import { type MaskedBatch, type MaskingOptions, maskTokens } from "../objectives/masked-language.js";
import type { Tokenizer } from "../text/index.js";
import { type AverageOptions, averageWeights } from "./policies/average.js";
import { trainedParameters } from "./policies/lora.js";
import { type TrainOptions, type TrainResult, train } from "./trainer.js";

type RunOptions = Pick<
  TrainOptions<MaskedBatch>,
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
  /** Highest learning rate. Default 1e-4, as BERT. */
  learningRate?: number;
  /** Default 0.01. */
  weightDecay?: number;
  /** Tokens of a batch. Default 4096. */
  batchTokens?: number;
  /** Longest sequence, special tokens included; longer ones are cut into windows. Default: the model's positions. */
  maxLength?: number;
  masking?: MaskingOptions;
  /** Layers run again in the backward pass instead of keeping what it needs; see `EncoderOptions.recompute`. */
  recompute?: boolean;
  /** The model at the end has the averages of the weights along the run. Default: those of the last step. */
  average?: AverageOptions;
}

/** @throws EMBEDDER_VOCABULARY when the tokenizer gives ids that the model has no row for */
export function checkVocabulary({ encoder }: Model, tokenizer: Tokenizer): void {
  const { vocabularySize } = encoder.config;
  if (tokenizer.vocabularySize <= vocabularySize) return;
  throw new ClozeError("EMBEDDER_VOCABULARY", "The tokenizer does not fit the model", {
    expected: `at most ${vocabularySize} entries`,
    received: String(tokenizer.vocabularySize),
    remedy: "Use the tokenizer that the model was trained with.",
  });
}

/**
 * Trains a model with a masked-language head. Sequences of the store get the tokenizer's [CLS] and [SEP]; tokens are masked
 * anew each time a sequence comes.
 *
 * @throws EMBEDDER_VOCABULARY and what `train` and `maskTokens` throw
 * @example
 * const result = await pretrain(model, tokenizer, store, { steps: 1000, folder: "run" });
 */
export function pretrain(
  model: Model,
  tokenizer: Tokenizer,
  store: TokenStore,
  options: PretrainOptions = {},
): Promise<TrainResult> {
  const { learningRate = 1e-4, weightDecay = 0.01, batchTokens = 4096, masking = {}, seed = 1 } = options;
  const { maxPositions } = model.encoder.config;
  const maxLength = Math.min(options.maxLength ?? maxPositions, maxPositions);
  checkVocabulary(model, tokenizer);
  const { clsId, sepId, maskId, specialIds } = tokenizer;
  const vocabulary = {
    maskId,
    vocabularySize: tokenizer.vocabularySize,
    specialIds,
    isContinuation: (id: number) => tokenizer.isContinuation(id),
  };
  const room = maxLength - 2;
  const cut = (ids: Int32Array, index: number): Int32Array => {
    // A long document shows another window each time.
    const start = ids.length > room ? Math.floor(randomSource(seed, 2, index)() * (ids.length - room + 1)) : 0;
    return Int32Array.from([clsId, ...ids.subarray(start, start + room), sepId]);
  };
  const source = budgetBatches(
    store.count,
    (position) => Math.min(room, store.length(position)) + 2,
    batchTokens,
    seed,
    (positions, index) => {
      const sequences = Array.from(positions, (position, i) => ({
        ids: cut(store.sequence(position), index * 4096 + i),
      }));
      return maskTokens(packSequences(sequences), vocabulary, randomSource(seed, 3, index), masking);
    },
  );
  const { average, recompute } = options;
  // Checkpoints hold what is trained: beside adapters, the rest is where it came from.
  const trained = trainedParameters(model);
  const plain = createAdamW(decayGroups(trained, { learningRate, weightDecay }));
  const averaging = average === undefined ? undefined : averageWeights(plain, trained, average);
  const optimizer = averaging ?? plain;
  return train<MaskedBatch>({
    ...options,
    parameters: trained,
    optimizer,
    source,
    task: "pretrain",
    tokens: ({ batch }) => batch.ids.length,
    settings: {
      learningRate,
      weightDecay,
      batchTokens,
      maxLength,
      masking,
      count: store.count,
      tokens: store.tokens,
      average,
    },
    loss({ batch, rows, targets }, context) {
      const { loss } = model.forward(batch, { rows, targets, training: true, seed: context.seed, recompute });
      if (loss === undefined) {
        throw new ClozeError("HEAD_MISMATCH", "This model's head predicts no tokens", {
          remedy: "Make or load it as ForMaskedLM.",
        });
      }
      return loss;
    },
  })
    .then((result) => {
      if (!result.interrupted) averaging?.apply();
      return result;
    })
    .finally(() => optimizer.dispose());
}
