// Fine-tuning for tags of tokens, on ids: made languages have no text.
import { argmax, createAdamW, decayGroups, noGrad, scope, type Tensor } from "@cloze/tensor";
import { shuffledBatches } from "../data/batch-source.js";
import { packSequences } from "../data/packed-batch.js";
import type { Model } from "../families/index.js";
import { assembleModel } from "../families/index.js";
import { wordTableOf } from "../families/model.js";
import { createHead, parseHeadConfig } from "../heads/index.js";
import type { ObjectiveVocabulary } from "../objectives/index.js";
import { train, warmupLinear } from "../training/trainer.js";
import type { TaggedSentences } from "./data/hidden-word-classes.js";

export interface TokenProbeOptions {
  readonly classes: number;
  readonly vocabulary: ObjectiveVocabulary;
  readonly seed: number;
  /** Default 8. */
  readonly epochs?: number;
  /** Default 20. */
  readonly batchSize?: number;
  /** Default 1e-3. */
  readonly learningRate?: number;
}

function batchOf(
  { sentences, labels }: TaggedSentences,
  rows: ArrayLike<number>,
  { clsId, sepId }: ObjectiveVocabulary,
) {
  const chosen = Array.from(rows);
  return {
    batch: packSequences(chosen.map((row) => ({ ids: [clsId, ...sentences[row], sepId] }))),
    labels: Int32Array.from(chosen.flatMap((row) => [-100, ...labels[row], -100])),
  };
}

/**
 * Fine-tunes a model's encoder with a new classifier of tokens, and gives its accuracy on the tokens that the test asks. The
 * model's head is used up; dispose the model afterwards.
 */
export async function tokenAccuracy(
  model: Model,
  labelled: TaggedSentences,
  test: TaggedSentences,
  { classes, vocabulary, seed, epochs = 8, batchSize = 20, learningRate = 1e-3 }: TokenProbeOptions,
): Promise<number> {
  const { encoder } = model;
  const config = parseHeadConfig({ type: "token-classification", labels: classes, dropout: 0 });
  const head = createHead(config, encoder.config, { seed }, wordTableOf(encoder));
  const tagger = assembleModel(encoder, head);
  const optimizer = createAdamW(decayGroups(tagger.parameters, { learningRate, weightDecay: 0.01 }));
  try {
    await train({
      parameters: tagger.parameters,
      optimizer,
      source: shuffledBatches(labelled.sentences.length, batchSize, seed, (rows) =>
        batchOf(labelled, rows, vocabulary),
      ),
      steps: Math.max(1, Math.round((epochs * labelled.sentences.length) / batchSize)),
      schedule: warmupLinear(0.1),
      seed,
      loss: ({ batch, labels }, { seed: at }) =>
        tagger.forward(batch, { labels, training: true, seed: at }).loss as Tensor,
    });
    let right = 0;
    let asked = 0;
    for (let start = 0; start < test.sentences.length; start += 100) {
      const rows = Array.from({ length: Math.min(100, test.sentences.length - start) }, (_, i) => start + i);
      const { batch, labels } = batchOf(test, rows, vocabulary);
      const found = scope(() => noGrad(() => argmax(tagger.forward(batch).logits as Tensor).toTypedArray()));
      labels.forEach((label, i) => {
        if (label === -100) return;
        asked++;
        if (found[i] === label) right++;
      });
    }
    return right / asked;
  } finally {
    optimizer.dispose();
    head.dispose();
  }
}
