// SparK's decoder (arXiv 2301.03580): features of all scales, with a learned vector where there are none, and a light UNet that
// paints images from them. It is dense: every place is computed.
import { add, clamp, concat, reshape, type Tensor, take, tensor, truncatedNormal, zeros } from "@cloze/tensor";
import { lookUp } from "../../encoder/parameters.js";
import type { Initial, ParameterSpec } from "../../encoder/part.js";
import { ClozeError } from "../../errors.js";
import { convolve, convolveTransposed } from "../convolution.js";
import type { FeatureMap, Layout } from "../feature-map.js";
import { batchNormOf, layerNormOf } from "../nets/norms.js";
import { heNormal, normSpecs, smallNormal, statisticSpecs } from "../nets/part.js";

/** What a decoder is made for. */
export interface DecoderFrame {
  readonly norm: "batch" | "layer";
  /** Of the stages that it paints from, largest map first. */
  readonly strides: readonly number[];
  readonly widths: readonly number[];
  /** Of the pixels. */
  readonly channels: number;
  /** Channels at the smallest map; halved by each block. */
  readonly decoderWidth: number;
}

/** Parameters and running statistics by name, and whether it trains. */
export interface DecoderAccess {
  readonly parameters: ReadonlyMap<string, Tensor>;
  readonly statistics: ReadonlyMap<string, Tensor>;
  readonly training: boolean;
}

export interface Decoder {
  readonly parameters: readonly ParameterSpec[];
  readonly statistics: readonly ParameterSpec[];
  /**
   * Paints images. `features` of the stages, active places alone; `dense` says where all places of the image lie.
   *
   * @returns [images x height x width, channels]
   */
  forward(features: readonly FeatureMap[], dense: Layout, access: DecoderAccess): Tensor;
}

/** A learned vector, cut at one deviation. */
const maskVector: Initial = (shape, seed) => truncatedNormal(shape, { seed, std: 0.02, bound: 1 });

function checkStrides({ strides, decoderWidth }: DecoderFrame): number {
  const total = strides[strides.length - 1];
  const blocks = Math.log2(total);
  const powers = strides.every((stride) => Number.isInteger(Math.log2(stride)));
  const rising = strides.every((stride, i) => i === 0 || stride > strides[i - 1]);
  if (!powers || !rising || blocks < 1) {
    throw new ClozeError("CONFIG_INVALID", "SparK's decoder doubles maps from the smallest one to the image", {
      expected: "stages that halve maps: strides in all that are rising powers of two",
      received: strides.join(", "),
    });
  }
  if (decoderWidth % 2 ** blocks !== 0) {
    throw new ClozeError("INVALID_OPTION", "The decoder's width is halved by each of its blocks", {
      expected: `a multiple of ${2 ** blocks}, for ${blocks} blocks`,
      received: String(decoderWidth),
      remedy: "Take another decoderWidth.",
    });
  }
  return blocks;
}

/** The feature map with the mask vector wherever it has no row. -> all places of `to` */
function withMaskVector({ rows, layout }: FeatureMap, vector: Tensor, to: Layout): FeatureMap {
  if (layout.count === to.count) return { rows, layout: to };
  const table = concat([rows, reshape(vector, [1, -1])], 0);
  const sources = layout.rows.map((row) => (row < 0 ? layout.count : row));
  return { rows: take(table, tensor(sources)), layout: to };
}

/**
 * A decoder for a network's stages.
 *
 * @throws CONFIG_INVALID, INVALID_OPTION
 */
export function bindDecoder(frame: DecoderFrame): Decoder {
  const blocks = checkStrides(frame);
  const { strides, widths, norm, channels, decoderWidth } = frame;
  const total = strides[strides.length - 1];
  const widthAt = (block: number): number => decoderWidth / 2 ** block;
  // From the smallest map to the largest, as the decoder meets them.
  const scales = strides
    .map((stride, stage) => ({ stage, block: blocks - Math.log2(stride), width: widths[stage] }))
    .reverse()
    .map((scale, i) => ({
      ...scale,
      name: `densify.${i}`,
      kernel: i === 0 ? 1 : 3,
      straight: i === 0 && scale.width === widthAt(0),
    }));
  const convolution = (name: string, outputs: number, inputs: number, side: number, bias: boolean): ParameterSpec[] => [
    { name: `${name}.weight`, shape: [outputs, inputs, side, side], initial: smallNormal },
    ...(bias ? [{ name: `${name}.bias`, shape: [outputs], initial: "zeros" as const }] : []),
  ];
  const steps = Array.from({ length: blocks }, (_, block) => ({
    name: `decoder.${block}`,
    inputs: widthAt(block),
    outputs: widthAt(block + 1),
  }));
  const parameters: ParameterSpec[] = [
    ...scales.flatMap(({ name, width, block, kernel, straight }) => [
      ...normSpecs(`${name}.norm`, width),
      { name: `${name}.mask`, shape: [width], initial: maskVector },
      ...(straight ? [] : convolution(`${name}.projection`, widthAt(block), width, kernel, true)),
    ]),
    ...steps.flatMap(({ name, inputs, outputs }) => [
      { name: `${name}.up.weight`, shape: [inputs, inputs, 4, 4], initial: heNormal },
      { name: `${name}.up.bias`, shape: [inputs], initial: "zeros" as const },
      ...convolution(`${name}.first`, inputs, inputs, 3, false),
      ...normSpecs(`${name}.firstNorm`, inputs),
      ...convolution(`${name}.second`, outputs, inputs, 3, false),
      ...normSpecs(`${name}.secondNorm`, outputs),
    ]),
    ...convolution("paint", channels, widthAt(blocks), 1, true),
  ];
  const statistics = [
    ...(norm === "batch" ? scales.flatMap(({ name, width }) => statisticSpecs(`${name}.norm`, width)) : []),
    ...steps.flatMap(({ name, inputs, outputs }) => [
      ...statisticSpecs(`${name}.firstNorm`, inputs),
      ...statisticSpecs(`${name}.secondNorm`, outputs),
    ]),
  ];
  return {
    parameters,
    statistics,
    forward(features, dense, { parameters: values, statistics: running, training }) {
      const parameter = (name: string): Tensor => lookUp(values, name);
      const access = { parameter, statistic: (name: string) => lookUp(running, name), training };
      const densify = (index: number): FeatureMap => {
        const { stage, name, kernel, straight } = scales[index];
        const map = features[stage];
        const normed: FeatureMap =
          norm === "batch"
            ? batchNormOf(map, `${name}.norm`, access)
            : { rows: layerNormOf(map.rows, `${name}.norm`, access), layout: map.layout };
        const to = dense.at(map.layout.height, map.layout.width);
        const full = withMaskVector(normed, parameter(`${name}.mask`), to);
        if (straight) return full;
        const bias = parameter(`${name}.projection.bias`);
        return convolve(full, parameter(`${name}.projection.weight`), { bias, padding: kernel >> 1 });
      };
      const smallest = dense.at(dense.height / total, dense.width / total);
      let x: FeatureMap = { rows: zeros([smallest.count, decoderWidth]), layout: smallest };
      for (const [block, { name }] of steps.entries()) {
        const scale = scales.findIndex((candidate) => candidate.block === block);
        if (scale >= 0) {
          const map = densify(scale);
          x = { rows: block === 0 ? map.rows : add(x.rows, map.rows), layout: x.layout };
        }
        x = convolveTransposed(x, parameter(`${name}.up.weight`), {
          bias: parameter(`${name}.up.bias`),
          stride: 2,
          padding: 1,
        });
        x = batchNormOf(convolve(x, parameter(`${name}.first.weight`)), `${name}.firstNorm`, access);
        x = convolve({ rows: clamp(x.rows, 0, 6), layout: x.layout }, parameter(`${name}.second.weight`));
        x = batchNormOf(x, `${name}.secondNorm`, access);
      }
      return convolve(x, parameter("paint.weight"), { bias: parameter("paint.bias") }).rows;
    },
  };
}
