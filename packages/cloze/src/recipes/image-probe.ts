// Fine-tuning for classes of images, from the mean of their patches.
import { argmax, createAdamW, decayGroups, noGrad, scope, type Tensor } from "@cloze/tensor";
import { shuffledBatches } from "../data/batch-source.js";
import type { InputSource } from "../data/input-source.js";
import { assembleModel, type Model } from "../families/index.js";
import { wordTableOf } from "../families/model.js";
import { createHead, parseHeadConfig } from "../heads/index.js";
import { train, warmupLinear } from "../training/trainer.js";

/** Images and their classes. */
export interface LabelledImages {
  readonly images: InputSource;
  /** [images] */
  readonly labels: Int32Array;
}

export interface ImageProbeOptions {
  readonly classes: number;
  readonly seed: number;
  /** Default 16. */
  readonly epochs?: number;
  /** Default 25. */
  readonly batchSize?: number;
  /** Default 1e-3. */
  readonly learningRate?: number;
}

const batchOf = ({ images, labels }: LabelledImages, indices: Int32Array) => ({
  batch: images.pack(indices),
  labels: indices.map((index) => labels[index]),
});

/**
 * Fine-tunes a model's encoder with a new classifier of images, and gives its accuracy on the test. The model's encoder is
 * changed; dispose the model afterwards.
 */
export async function imageAccuracy(
  { encoder }: Model,
  labelled: LabelledImages,
  test: LabelledImages,
  { classes, seed, epochs = 16, batchSize = 25, learningRate = 1e-3 }: ImageProbeOptions,
): Promise<number> {
  const config = parseHeadConfig({
    type: "sequence-classification",
    labels: classes,
    pooling: "mean",
    pooler: null,
    dropout: 0,
  });
  const head = createHead(config, encoder.config, { seed }, wordTableOf(encoder));
  const classifier = assembleModel(encoder, head);
  const optimizer = createAdamW(decayGroups(classifier.parameters, { learningRate, weightDecay: 0.05 }));
  try {
    await train({
      parameters: classifier.parameters,
      optimizer,
      source: shuffledBatches(labelled.images.count, batchSize, seed, (rows) => batchOf(labelled, rows)),
      steps: Math.max(1, Math.round((epochs * labelled.images.count) / batchSize)),
      schedule: warmupLinear(0.1),
      seed,
      loss: ({ batch, labels }, { seed: at }) =>
        classifier.forward(batch, { labels, training: true, seed: at }).loss as Tensor,
    });
    let right = 0;
    const { count } = test.images;
    for (let start = 0; start < count; start += 50) {
      const rows = Int32Array.from({ length: Math.min(50, count - start) }, (_, i) => start + i);
      const { batch, labels } = batchOf(test, rows);
      const found = scope(() => noGrad(() => argmax(classifier.forward(batch).logits as Tensor).toTypedArray()));
      labels.forEach((label, i) => {
        if (found[i] === label) right++;
      });
    }
    return right / count;
  } finally {
    optimizer.dispose();
    head.dispose();
  }
}
