// ConvNeXt (arXiv 2201.03545): depthwise convolutions and layer norms; named as transformers' ConvNextModel names parameters.
import { add, full, linear, mul, type Tensor } from "@cloze/tensor";
import { z } from "zod";
import type { ParameterSpec } from "../../encoder/part.js";
import { convolve, convolveDepthwise } from "../convolution.js";
import type { FeatureMap } from "../feature-map.js";
import { layerNormOf } from "./norms.js";
import {
  type ConvnetAccess,
  defineConvnet,
  dropRates,
  normSpecs,
  smallNormal,
  stageSchema,
  stageStrides,
  totalStrides,
} from "./part.js";

const schema = z.strictObject({
  type: z.literal("convnext"),
  /** Of the pixels. */
  channels: z.int().min(1).default(3),
  /** Side of the patches that the first convolution takes, and its stride. */
  patch: z.int().min(1).default(4),
  stages: z.array(stageSchema).min(1),
  /** Side of the depthwise windows; odd. */
  kernel: z.int().min(1).default(7),
  /** The branch is so many times as wide inside. */
  expansion: z.int().min(1).default(4),
  /** What branches are multiplied by at first. */
  layerScale: z.number().gt(0).default(1e-6),
  /** Share of images for which the last block's branch is left out in training; the first one's is 0. */
  dropPath: z.number().min(0).lt(1).default(0),
});
type Config = z.output<typeof schema>;

const dense = (name: string, shape: readonly number[]): ParameterSpec[] => [
  { name: `${name}.weight`, shape, initial: smallNormal },
  { name: `${name}.bias`, shape: [shape[0]], initial: "zeros" },
];

function blockSpecs(name: string, channels: number, { kernel, expansion, layerScale }: Config): ParameterSpec[] {
  return [
    { name: `${name}.layer_scale_parameter`, shape: [channels], initial: (shape) => full(shape, layerScale) },
    ...dense(`${name}.dwconv`, [channels, 1, kernel, kernel]),
    ...normSpecs(`${name}.layernorm`, channels),
    ...dense(`${name}.pwconv1`, [expansion * channels, channels]),
    ...dense(`${name}.pwconv2`, [channels, expansion * channels]),
  ];
}

function runBlock(x: FeatureMap, name: string, dropPath: number, access: ConvnetAccess): FeatureMap {
  const { parameter } = access;
  const apply = (matrix: string, rows: Tensor, activation?: "gelu"): Tensor =>
    linear(
      rows,
      parameter(`${name}.${matrix}.weight`),
      parameter(`${name}.${matrix}.bias`),
      activation && { activation },
    );
  const spread = convolveDepthwise(x, parameter(`${name}.dwconv.weight`), { bias: parameter(`${name}.dwconv.bias`) });
  const inner = apply("pwconv1", layerNormOf(spread.rows, `${name}.layernorm`, access), "gelu");
  const rows = mul(apply("pwconv2", inner), parameter(`${name}.layer_scale_parameter`));
  return { rows: add(access.dropPath({ rows, layout: x.layout }, dropPath), x.rows), layout: x.layout };
}

const jsonSchema = z.looseObject({
  num_channels: z.int().default(3),
  patch_size: z.int().default(4),
  hidden_sizes: z.array(z.int()).default([96, 192, 384, 768]),
  depths: z.array(z.int()).default([3, 3, 9, 3]),
  hidden_act: z.literal("gelu").default("gelu"),
  layer_scale_init_value: z.number().gt(0).default(1e-6),
  drop_path_rate: z.number().default(0),
});

/** Fields of transformers' ConvNextConfig, which knows one kernel, one expansion and strides of 2. */
function write({ channels, patch, stages, kernel, expansion, layerScale, dropPath }: Config) {
  const strides = stageStrides(stages);
  if (kernel !== 7 || expansion !== 4 || strides.some((stride, i) => stride !== (i === 0 ? 1 : 2))) return undefined;
  return {
    num_channels: channels,
    patch_size: patch,
    num_stages: stages.length,
    hidden_sizes: stages.map((stage) => stage.channels),
    depths: stages.map(({ depth }) => depth),
    hidden_act: "gelu",
    layer_norm_eps: 1e-12,
    layer_scale_init_value: layerScale,
    drop_path_rate: dropPath,
  };
}

/** ConvNeXt of any stages. */
export const convnext = defineConvnet({
  schema,
  norm: "layer",
  modelType: "convnext",
  architecture: "ConvNextModel",
  prefix: "convnext.",
  write,
  read(json) {
    const fields = jsonSchema.parse(json);
    return {
      type: "convnext" as const,
      channels: fields.num_channels,
      patch: fields.patch_size,
      stages: fields.hidden_sizes.map((channels, i) => ({ channels, depth: fields.depths[i] })),
      layerScale: fields.layer_scale_init_value,
      dropPath: fields.drop_path_rate,
    };
  },
  bind(config) {
    const { patch, stages } = config;
    const strides = stageStrides(stages);
    const rates = dropRates(stages, config.dropPath);
    const last = stages[stages.length - 1].channels;
    const parts = stages.map(({ channels, depth }, s) => {
      const before = stages[Math.max(0, s - 1)].channels;
      return {
        step: `encoder.stages.${s}.downsampling_layer`,
        before,
        channels,
        stride: strides[s],
        straight: before === channels && strides[s] === 1,
        blocks: Array.from({ length: depth }, (_, l) => `encoder.stages.${s}.layers.${l}`),
      };
    });
    // A step of 1 to other channels has a window of 2 in no network; it is a matrix here.
    const parameters = [
      ...dense("embeddings.patch_embeddings", [stages[0].channels, config.channels, patch, patch]),
      ...normSpecs("embeddings.layernorm", stages[0].channels),
      ...parts.flatMap(({ step, before, channels, stride, straight, blocks }) => [
        ...(straight
          ? []
          : [...normSpecs(`${step}.0`, before), ...dense(`${step}.1`, [channels, before, stride, stride])]),
        ...blocks.flatMap((name) => blockSpecs(name, channels, config)),
      ]),
      ...normSpecs("layernorm", last),
    ];
    const biased = (x: FeatureMap, name: string, stride: number, { parameter }: ConvnetAccess): FeatureMap =>
      convolve(x, parameter(`${name}.weight`), { bias: parameter(`${name}.bias`), stride, padding: 0 });
    return {
      parameters,
      statistics: [],
      strides: totalStrides(patch, strides),
      widths: stages.map(({ channels }) => channels),
      forward(pixels, access) {
        const first = biased(pixels, "embeddings.patch_embeddings", patch, access);
        let x: FeatureMap = { rows: layerNormOf(first.rows, "embeddings.layernorm", access), layout: first.layout };
        return parts.map(({ step, stride, straight, blocks }, s) => {
          if (!straight) {
            const normed = { rows: layerNormOf(x.rows, `${step}.0`, access), layout: x.layout };
            x = biased(normed, `${step}.1`, stride, access);
          }
          for (const [l, name] of blocks.entries()) x = runBlock(x, name, rates[s][l], access);
          return x;
        });
      },
      pooled: (means, access) => layerNormOf(means, "layernorm", access, 1e-12),
    };
  },
});
