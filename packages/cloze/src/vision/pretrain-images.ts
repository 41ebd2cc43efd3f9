// Pre-training of convolutional encoders on images without labels.
import { createAdamW, createLamb, noGrad, type ParameterGroup, scope, type Tensor, tensor } from "@cloze/tensor";
import { type BatchSource, shuffledBatches } from "../data/batch-source.js";
import { type ImageSet, imagenetStatistics, normalizePixels, type PixelStatistics } from "../data/images/image-set.js";
import { randomSource } from "../data/random-source.js";
import { ClozeError } from "../errors.js";
import { type TrainOptions, type TrainResult, train } from "../training/trainer.js";
import { type ActiveMask, drawActive } from "./active-mask.js";
import { type AugmentOptions, augmentImages } from "./augment.js";
import type { Convnet } from "./convnet.js";
import { imageBatches, pixelTensor } from "./image-vectors.js";
import { createSpark, parseSpark, type Spark, type SparkOptions } from "./spark/spark.js";

type RunOptions = Pick<
  TrainOptions<unknown>,
  | "steps"
  | "minutes"
  | "folder"
  | "resume"
  | "checkpointMinutes"
  | "accumulate"
  | "seed"
  | "progress"
  | "shouldStop"
  | "afterStep"
>;

export interface PretrainImagesOptions extends RunOptions, SparkOptions {
  /** Images of a batch. Default 64. */
  batchSize?: number;
  /** Default "lamb", as the paper; "adamw" takes fewer steps where batches are small. */
  optimizer?: "lamb" | "adamw";
  /** Highest learning rate. Default for LAMB: 2e-4 x batchSize / 256, the paper's; for AdamW 1e-3. */
  learningRate?: number;
  /** Decay of kernels and matrices at the start and at the end; it follows a cosine. Default [0.04, 0.2]. */
  weightDecay?: readonly [number, number];
  /** Share of the run in which the learning rate rises. Default 0.025: 40 of 1600 epochs. */
  warmup?: number;
  /** Adam's second decay rate. Default 0.95 for networks with batch norms, else 0.999. */
  beta2?: number;
  /** Default: parts of at least 0.67 of the area, mirrored half of the time. */
  augment?: AugmentOptions;
  /** What pixels are normalised with. Default: ImageNet's. */
  statistics?: PixelStatistics;
  /** Called with what stands beside the network when the run is over, before it is freed. */
  inspect?: (spark: Spark) => void;
}

interface MaskedImages {
  /** [images x channels x height x width] */
  readonly pixels: Float32Array;
  readonly active: ActiveMask;
}

/** The paper's schedule: up in a line from 0.5 %, down along a cosine to 0.1 %. */
const cosineRate =
  (warmup: number) =>
  (done: number): number => {
    if (done < warmup) return 0.005 + 0.995 * (done / warmup);
    return 0.001 + 0.999 * 0.5 * (1 + Math.cos((Math.PI * (done - warmup)) / Math.max(1e-9, 1 - warmup)));
  };

/** Kernels and matrices decay; vectors (biases, norms, mask vectors, layer scales) do not. */
function groupsOf(parameters: ReadonlyMap<string, Tensor>, learningRate: number): ParameterGroup[] {
  const all = [...parameters];
  return [
    { name: "decay", parameters: all.filter(([, { rank }]) => rank > 1), learningRate },
    { name: "noDecay", parameters: all.filter(([, { rank }]) => rank <= 1), learningRate },
  ];
}

function checkImages(net: Convnet, images: ImageSet, batchSize: number): void {
  if (images.channels !== net.config.channels) {
    throw new ClozeError("SHAPE_MISMATCH", "The images do not fit the network", {
      expected: `${net.config.channels} channels`,
      received: String(images.channels),
    });
  }
  if (images.count >= batchSize) return;
  throw new ClozeError("DATA_EMPTY", "There are fewer images than a batch has", {
    expected: `at least ${batchSize}`,
    received: String(images.count),
    remedy: "Give more images, or a smaller batchSize.",
  });
}

/** Batches with their masks, as functions of seed and number. */
function maskedBatches(
  images: ImageSet,
  spark: Spark,
  {
    batchSize,
    seed,
    augment,
    statistics,
  }: { batchSize: number; seed: number; augment: AugmentOptions; statistics: PixelStatistics },
): BatchSource<MaskedImages> {
  const [rows, columns] = spark.grid(images.height, images.width);
  const { maskRatio } = spark.config;
  return shuffledBatches(images.count, batchSize, seed, (positions, index) => {
    const random = randomSource(seed, 1, index);
    const chosen = augmentImages(images, positions, random, augment);
    return {
      pixels: normalizePixels(chosen, statistics),
      active: drawActive({ images: positions.length, rows, columns, maskRatio }, random),
    };
  });
}

export interface PretrainImagesResult extends TrainResult {
  /** Images seen. */
  readonly images: number;
}

/**
 * Trains a convolutional encoder by painting hidden patches (SparK, arXiv 2301.03580). The network computes the visible places
 * alone; nothing of it changes, and afterwards it is used as any other: `exportEncoder` saves it. What paints is dropped.
 *
 * With `steps`, a run that was interrupted and resumed gives the same weights as one that was not.
 *
 * @throws OBJECTIVE_OPTIONS, SHAPE_MISMATCH when images are not made of whole patches, INVALID_OPTION, DATA_EMPTY, and what
 * `train` throws
 * @example
 * const net = createConvnet({ type: "resnet", stages }, { seed: 1 });
 * await pretrainImages(net, images, { objective: "spark", maskRatio: 0.6, decoderWidth: 64, steps: 1000, folder: "run" });
 * exportEncoder(net, "encoder");
 */
export async function pretrainImages(
  net: Convnet,
  images: ImageSet,
  options: PretrainImagesOptions = {},
): Promise<PretrainImagesResult> {
  const { batchSize = 64, optimizer: kind = "lamb", seed = 1, warmup = 0.025, augment = {} } = options;
  const { objective, maskRatio, sparse, scales, lossOver, decoderWidth, inspect, ...run } = options;
  const { learningRate = kind === "lamb" ? (2e-4 * batchSize) / 256 : 1e-3 } = options;
  const { weightDecay: [firstDecay, lastDecay] = [0.04, 0.2] as const, statistics = imagenetStatistics } = options;
  const { beta2 = net.norm === "batch" ? 0.95 : 0.999 } = options;
  const config = parseSpark({ objective, maskRatio, sparse, scales, lossOver, decoderWidth });
  checkImages(net, images, batchSize);
  const spark = createSpark(net, config, seed);
  try {
    const named = (prefix: string, tensors: ReadonlyMap<string, Tensor>) =>
      [...tensors].map(([name, value]) => [`${prefix}.${name}`, value] as const);
    const trained = new Map([...named("encoder", net.parameters), ...named("spark", spark.parameters)]);
    const running = new Map([...named("encoder", net.statistics), ...named("spark", spark.statistics)]);
    const source = maskedBatches(images, spark, { batchSize, seed, augment, statistics });
    const groups = groupsOf(trained, learningRate);
    const optimizer =
      kind === "lamb" ? createLamb(groups, { beta2, adapt: "decayed" }) : createAdamW(groups, { beta2 });
    const rate = cosineRate(warmup);
    const { channels, height, width } = images;
    try {
      const result = await train<MaskedImages>({
        ...run,
        seed,
        parameters: new Map([...trained, ...running]),
        optimizer,
        source,
        maximumGradientNorm: 5,
        task: "pretrain",
        tokens: ({ active }) => active.images,
        schedule(done) {
          // The only place that a step asks before it moves anything.
          optimizer.groups[0].weightDecay = lastDecay + (firstDecay - lastDecay) * 0.5 * (1 + Math.cos(Math.PI * done));
          return rate(done);
        },
        settings: {
          config,
          batchSize,
          kind,
          learningRate,
          decay: [firstDecay, lastDecay],
          warmup,
          beta2,
          augment,
          statistics,
          images: [images.count, channels, height, width],
        },
        describe: ({ active }) => ({ images: active.images }),
        loss: ({ pixels, active }, context) =>
          spark.forward(tensor(pixels, [active.images, channels, height, width]), active, {
            training: true,
            seed: context.seed,
          }).loss,
      });
      inspect?.(spark);
      return { ...result, images: result.steps * batchSize * (options.accumulate ?? 1) };
    } finally {
      optimizer.dispose();
    }
  } finally {
    spark.dispose();
  }
}

/**
 * SparK's loss on images that were not trained on, each hidden once: mean square over hidden patches, where a painter of each
 * patch's mean is at 1.
 */
export function paintingLoss(
  spark: Spark,
  images: ImageSet,
  {
    seed = 1,
    batchSize = 64,
    statistics = imagenetStatistics,
  }: { seed?: number; batchSize?: number; statistics?: PixelStatistics } = {},
): number {
  const [rows, columns] = spark.grid(images.height, images.width);
  const random = randomSource(seed, 2);
  let total = 0;
  for (const batch of imageBatches(images, batchSize)) {
    const active = drawActive({ images: batch.count, rows, columns, maskRatio: spark.config.maskRatio }, random);
    total += noGrad(() => scope(() => spark.forward(pixelTensor(batch, statistics), active).loss.item() * batch.count));
  }
  return total / images.count;
}
