// A convolutional encoder with a matrix on its pooled features: trained on labelled images.
import {
  argmax,
  createAdamW,
  crossEntropy,
  decayGroups,
  linear,
  noGrad,
  scope,
  type Tensor,
  tensor,
} from "@cloze/tensor";
import { budgetBatches } from "../data/batch-source.js";
import { type ImageSet, imagenetStatistics, type PixelStatistics } from "../data/images/image-set.js";
import { randomSource } from "../data/random-source.js";
import { copiesOf, createParameters, lookUp } from "../encoder/parameters.js";
import type { ProgressReporter } from "../training/progress.js";
import { train } from "../training/trainer.js";
import { type AugmentOptions, augmentImages } from "./augment.js";
import { type Convnet, createConvnet } from "./convnet.js";
import { imageBatches, labelsOf, pixelTensor } from "./image-vectors.js";

export interface TrainImageClassifierOptions {
  /** Classes are 0 … classes - 1. */
  readonly classes: number;
  /** Default 20. */
  readonly epochs?: number;
  /** Default 64. */
  readonly batchSize?: number;
  /** Default 1e-3. */
  readonly learningRate?: number;
  /** Default 0.05. */
  readonly weightDecay?: number;
  /** Default: parts of at least 0.67 of the area, mirrored half of the time. */
  readonly augment?: AugmentOptions;
  /** What pixels are normalised with. Default: ImageNet's. */
  readonly statistics?: PixelStatistics;
  /** Default 1. */
  readonly seed?: number;
  readonly progress?: ProgressReporter;
}

export interface ImageClassifier {
  /** A copy of the encoder that was given. */
  readonly net: Convnet;
  /** The most likely class of each image. */
  predict(images: ImageSet): Int32Array;
  /** Share of images whose most likely class is their label. @throws LABELS_MISSING */
  accuracy(images: ImageSet): number;
  dispose(): void;
}

/** An encoder of its own with the same weights. */
export function copyConvnet(net: Convnet): Convnet {
  return createConvnet(net.config, { load: copiesOf(new Map([...net.parameters, ...net.statistics])) });
}

/**
 * Trains a classifier on labelled images. The encoder that is given stays as it is.
 *
 * @throws LABELS_MISSING, and what `train` throws
 * @example
 * const classifier = await trainImageClassifier(loadConvnet("encoder"), labelled, { classes: 10, epochs: 20 });
 * console.log(classifier.accuracy(test));
 */
export async function trainImageClassifier(
  pretrained: Convnet,
  images: ImageSet,
  options: TrainImageClassifierOptions,
): Promise<ImageClassifier> {
  const { classes, epochs = 20, batchSize = 64, learningRate = 1e-3, weightDecay = 0.05 } = options;
  const { augment = {}, statistics = imagenetStatistics, seed = 1, progress } = options;
  const labels = labelsOf(images);
  const net = copyConvnet(pretrained);
  const width = net.widths[net.widths.length - 1];
  const head = createParameters(
    [
      { name: "classifier.weight", shape: [classes, width], initial: "normal" },
      { name: "classifier.bias", shape: [classes], initial: "zeros" },
    ],
    { seed },
    0.02,
  );
  const scores = (vectors: Tensor): Tensor =>
    linear(vectors, lookUp(head, "classifier.weight"), lookUp(head, "classifier.bias"));
  const dispose = (): void => {
    net.dispose();
    for (const value of head.values()) value.dispose();
  };
  const predict = (set: ImageSet): Int32Array => {
    const found = new Int32Array(set.count);
    let at = 0;
    for (const batch of imageBatches(set, batchSize)) {
      found.set(
        noGrad(() => scope(() => argmax(scores(net.pooled(pixelTensor(batch, statistics)))).toTypedArray())),
        at,
      );
      at += batch.count;
    }
    return found;
  };
  const trained = new Map([...net.parameters, ...head]);
  const optimizer = createAdamW(decayGroups(trained, { learningRate, weightDecay, noDecay: /bias$|norm\w*\.weight$/ }));
  try {
    await train<{ images: ImageSet; labels: Int32Array }>({
      parameters: trained,
      optimizer,
      source: budgetBatches(
        images.count,
        () => 1,
        batchSize,
        seed,
        (positions, index) => ({
          images: augmentImages(images, positions, randomSource(seed, 3, index), augment),
          labels: Int32Array.from(positions, (position) => labels[position]),
        }),
      ),
      steps: epochs * Math.ceil(images.count / batchSize),
      seed,
      progress,
      loss(batch, context) {
        const vectors = net.pooled(pixelTensor(batch.images, statistics), { training: true, seed: context.seed });
        return crossEntropy(scores(vectors), tensor(batch.labels));
      },
    });
  } catch (error) {
    dispose();
    throw error;
  } finally {
    optimizer.dispose();
  }
  return {
    net,
    predict,
    accuracy(set) {
      const wanted = labelsOf(set);
      return predict(set).reduce((right, label, i) => right + Number(label === wanted[i]), 0) / set.count;
    },
    dispose,
  };
}
