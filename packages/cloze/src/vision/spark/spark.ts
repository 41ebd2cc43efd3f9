// SparK (arXiv 2301.03580): a convolutional network sees some patches of an image, a decoder paints the others.
import { mul, permute, reshape, scope, type Tensor } from "@cloze/tensor";
import { z } from "zod";
import { createParameters } from "../../encoder/parameters.js";
import { parseConfig } from "../../encoder/registry.js";
import { deriveSeed } from "../../encoder/seeds.js";
import { ClozeError } from "../../errors.js";
import { type ActiveMask, hiddenCells } from "../active-mask.js";
import type { Convnet } from "../convnet.js";
import { activeTensor, createLayout, denseLayouts, type FeatureMap, restrict } from "../feature-map.js";
import { bindDecoder } from "./decoder.js";
import { paintingError } from "./patches.js";

const schema = z.strictObject({
  objective: z.literal("spark").default("spark"),
  maskRatio: z.number().gt(0).lt(1).default(0.6).describe("share of the patches that are hidden (0.6)"),
  sparse: z
    .boolean()
    .default(true)
    .describe("the network computes visible places alone (true); false: hidden pixels are zeros for it"),
  scales: z.enum(["all", "last"]).default("all").describe("the decoder takes maps of all stages, or the last one's"),
  lossOver: z.enum(["hidden", "all"]).default("hidden").describe("patches that the loss is over: hidden, or all"),
  decoderWidth: z.int().min(2).default(768).describe("channels of the decoder at the smallest map (768)"),
});
export type SparkConfig = z.output<typeof schema>;
export type SparkOptions = z.input<typeof schema>;

/** Each option with what it means, for help. */
export const sparkOptions: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(schema.shape)
    .filter(([name]) => name !== "objective")
    .map(([name, { description = "" }]) => [name, description]),
);

export interface SparkOutput {
  /** Mean square over the values of hidden patches; a painter who knows only each patch's mean and spread is at 1. */
  readonly loss: Tensor;
  /** [images, height, width, channels], in patches' own units: mean 0, deviation 1. */
  readonly painted: Tensor;
}

/** What stands beside a network while it is trained so. */
export interface Spark {
  readonly config: SparkConfig;
  /** Pixels of a side of a patch: the network's stride. */
  readonly patch: number;
  /** Trained beside the network, and dropped at the end. */
  readonly parameters: ReadonlyMap<string, Tensor>;
  readonly statistics: ReadonlyMap<string, Tensor>;
  /** Rows and columns of patches. @throws SHAPE_MISMATCH unless whole patches fill the image */
  grid(height: number, width: number): [number, number];
  /**
   * Hides, encodes, paints, compares.
   *
   * @param pixels [images, channels, height, width]
   */
  forward(pixels: Tensor, active: ActiveMask, options?: { training?: boolean; seed?: number }): SparkOutput;
  dispose(): void;
}

/**
 * Checks SparK's options and fills in defaults.
 *
 * @throws OBJECTIVE_OPTIONS naming the option
 */
export const parseSpark = (options: unknown): SparkConfig =>
  parseConfig(schema, options, "The objective spark", "OBJECTIVE_OPTIONS");

const channelsLast = (pixels: Tensor): Tensor => permute(pixels, [0, 2, 3, 1]);

/** The features of a network that sees some cells of images. pixels: [images, channels, height, width] */
function encode(
  net: Convnet,
  pixels: Tensor,
  active: ActiveMask,
  sparse: boolean,
  options: { training?: boolean; seed?: number },
): readonly FeatureMap[] {
  if (sparse) return net.forward(pixels, { ...options, active });
  const [images, , height, width] = pixels.shape;
  const layout = createLayout(images, height, width, active);
  const seen = mul(pixels, reshape(activeTensor(layout), [images, 1, height, width]));
  // The decoder is told the same of both: where the mask is, the mask vector stands.
  return net.forward(seen, options).map((map) => restrict(map, layout.at(map.layout.height, map.layout.width)));
}

/**
 * Makes SparK's decoder for a network.
 *
 * @throws OBJECTIVE_OPTIONS, CONFIG_INVALID, INVALID_OPTION
 * @example
 * const spark = createSpark(net, { maskRatio: 0.6, decoderWidth: 64 }, 1);
 * const { loss } = spark.forward(pixels, active, { training: true });
 */
export function createSpark(net: Convnet, options: SparkOptions = {}, seed = 1): Spark {
  const config = parseSpark(options);
  const first = config.scales === "all" ? 0 : net.strides.length - 1;
  const decoder = bindDecoder({
    norm: net.norm,
    strides: net.strides.slice(first),
    widths: net.widths.slice(first),
    channels: net.config.channels,
    decoderWidth: config.decoderWidth,
  });
  const source = { seed: deriveSeed(seed, "spark") };
  const parameters = createParameters(decoder.parameters, source, 0.02);
  const statistics = createParameters(decoder.statistics, source, 0.02);
  for (const statistic of statistics.values()) statistic.requireGrad(false);
  const patch = net.strides[net.strides.length - 1];
  const unmasked = denseLayouts();
  const grid = (height: number, width: number): [number, number] => {
    if (height % patch === 0 && width % patch === 0) return [height / patch, width / patch];
    throw new ClozeError("SHAPE_MISMATCH", "Images are not made of whole patches", {
      expected: `a height and a width that ${patch}, the network's stride, divides`,
      received: `${height} x ${width}`,
      remedy: "Scale images to another size.",
    });
  };
  return {
    config,
    patch,
    parameters,
    statistics,
    grid,
    forward: (pixels, active, { training = false, seed: dropSeed } = {}) =>
      scope(() => {
        const [images, channels, height, width] = pixels.shape;
        grid(height, width);
        const features = encode(net, pixels, active, config.sparse, { training, seed: dropSeed });
        const dense = unmasked(images, height, width);
        const painted = reshape(decoder.forward(features.slice(first), dense, { parameters, statistics, training }), [
          images,
          height,
          width,
          channels,
        ]);
        const hidden = config.lossOver === "all" ? undefined : hiddenCells(active);
        return { loss: paintingError(painted, channelsLast(pixels), patch, hidden), painted };
      }),
    dispose() {
      for (const tensors of [parameters, statistics]) for (const each of tensors.values()) each.dispose();
    },
  };
}
