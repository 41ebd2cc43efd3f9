// Convolutional encoders: from pixels to the features of each stage, for all places or for those that a mask says.
import { mul, noGrad, permute, reshape, scope, segmentMean, type Tensor, take, tensor } from "@cloze/tensor";
import { randomSource } from "../data/random-source.js";
import { createParameters, lookUp, type ParameterSource } from "../encoder/parameters.js";
import { deriveSeed } from "../encoder/seeds.js";
import { ClozeError } from "../errors.js";
import type { ActiveMask } from "./active-mask.js";
import { createLayout, denseLayouts, type FeatureMap, type Layout } from "./feature-map.js";
import { type ConvnetConfig, type ConvnetConfigInput, convnetPart, parseConvnetConfig } from "./nets/index.js";
import type { ConvnetAccess } from "./nets/part.js";

export interface ConvnetOptions {
  /** The cells that the network sees; it computes nothing else. Default: all. */
  readonly active?: ActiveMask;
  /** Batch statistics, which move the running ones; paths are dropped. Default false. */
  readonly training?: boolean;
  /** For dropped paths. */
  readonly seed?: number;
}

/** A convolutional encoder. */
export interface Convnet {
  readonly config: ConvnetConfig;
  readonly norm: "batch" | "layer";
  /** What is trained. */
  readonly parameters: ReadonlyMap<string, Tensor>;
  /** Running means and variances: saved, not trained. */
  readonly statistics: ReadonlyMap<string, Tensor>;
  /** Pixels for a place, and channels, of each stage's output. */
  readonly strides: readonly number[];
  readonly widths: readonly number[];
  /**
   * The features of each stage. pixels: [images, channels, height, width]
   *
   * @throws SHAPE_MISMATCH
   */
  forward(pixels: Tensor, options?: ConvnetOptions): readonly FeatureMap[];
  /** One vector for each image: the means over the places of the last stage. -> [images, channels] */
  pooled(pixels: Tensor, options?: ConvnetOptions): Tensor;
  dispose(): void;
}

/** Pixels as rows of a layout. */
function pixelRows(pixels: Tensor, layout: Layout): FeatureMap {
  const [images, channels, height, width] = pixels.shape;
  const all = reshape(permute(pixels, [0, 2, 3, 1]), [images * height * width, channels]);
  return { rows: layout.count === all.shape[0] ? all : take(all, tensor(layout.places)), layout };
}

function checkPixels(pixels: Tensor, channels: number): void {
  if (pixels.rank === 4 && pixels.shape[1] === channels) return;
  throw new ClozeError("SHAPE_MISMATCH", "A convolutional network takes pixels", {
    expected: `[images, ${channels}, height, width]`,
    received: `[${pixels.shape.join(", ")}]`,
  });
}

/** Sets whole images of a branch to zero, and scales the others up. */
function dropImages({ rows, layout }: FeatureMap, rate: number, seed: number): Tensor {
  const random = randomSource(seed);
  const factors = Float32Array.from({ length: layout.images }, () => (random() < rate ? 0 : 1 / (1 - rate)));
  const each = layout.height * layout.width;
  const byRow = Float32Array.from(layout.places, (place) => factors[Math.floor(place / each)]);
  return mul(
    rows,
    noGrad(() => tensor(byRow, [layout.count, 1])),
  );
}

/** Row offsets of the images of a layout. [images + 1] */
function imageOffsets({ images, height, width, places }: Layout): Int32Array {
  const offsets = new Int32Array(images + 1);
  for (const place of places) offsets[Math.floor(place / (height * width)) + 1]++;
  for (let image = 0; image < images; image++) offsets[image + 1] += offsets[image];
  return offsets;
}

/**
 * Makes a convolutional encoder: new by a seed, or with the parameters that `load` gives.
 *
 * @throws CONFIG_INVALID, WEIGHT_SHAPE, and what the source throws
 * @example
 * const net = createConvnet({ type: "resnet", stem: { channels: 16, kernel: 3, stride: 1, pool: false },
 *   stages: [{ channels: 16, depth: 2, stride: 2 }, { channels: 32, depth: 2 }, { channels: 64, depth: 2 }] }, { seed: 1 });
 * const [, , last] = net.forward(pixels); // pixels [images, 3, 32, 32]; last.rows [images x 16, 64]
 */
export function createConvnet(input: ConvnetConfigInput, source: ParameterSource): Convnet {
  const config = parseConvnetConfig(input);
  const part = convnetPart(config);
  const bound = part.bind(config);
  const parameters = createParameters(bound.parameters, source, 0.02);
  let statistics: Map<string, Tensor>;
  try {
    statistics = createParameters(bound.statistics, source, 0.02);
  } catch (error) {
    for (const parameter of parameters.values()) parameter.dispose();
    throw error;
  }
  for (const statistic of statistics.values()) statistic.requireGrad(false);
  const access = ({ training = false, seed = 0 }: ConvnetOptions): ConvnetAccess => {
    let branches = 0;
    return {
      parameter: (name) => lookUp(parameters, name),
      statistic: (name) => lookUp(statistics, name),
      training,
      dropPath(branch, rate) {
        branches++;
        return training && rate > 0 ? dropImages(branch, rate, deriveSeed(seed, "path", branches)) : branch.rows;
      },
    };
  };
  const unmasked = denseLayouts();
  const forward = (pixels: Tensor, options: ConvnetOptions): readonly FeatureMap[] => {
    checkPixels(pixels, config.channels);
    const [images, , height, width] = pixels.shape;
    const { active } = options;
    const layout = active === undefined ? unmasked(images, height, width) : createLayout(images, height, width, active);
    return bound.forward(pixelRows(pixels, layout), access(options));
  };
  return {
    config,
    norm: part.norm,
    parameters,
    statistics,
    strides: bound.strides,
    widths: bound.widths,
    forward: (pixels, options = {}) => scope(() => [...forward(pixels, options)]),
    pooled: (pixels, options = {}) =>
      scope(() => {
        const stages = forward(pixels, options);
        const { rows, layout } = stages[stages.length - 1];
        const means = segmentMean(rows, tensor(imageOffsets(layout)));
        return bound.pooled?.(means, access(options)) ?? means;
      }),
    dispose() {
      for (const tensors of [parameters, statistics]) for (const each of tensors.values()) each.dispose();
    },
  };
}
