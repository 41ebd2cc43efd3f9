// Residual networks (arXiv 1512.03385) with batch normalisation; parameters are named as transformers' ResNetModel names them.
import { activation, add, type Tensor } from "@cloze/tensor";
import { z } from "zod";
import type { ParameterSpec } from "../../encoder/part.js";
import { convolve, maxPool } from "../convolution.js";
import type { FeatureMap } from "../feature-map.js";
import { batchNormOf } from "./norms.js";
import {
  type ConvnetAccess,
  defineConvnet,
  dropRates,
  heNormal,
  normSpecs,
  stageSchema,
  stageStrides,
  statisticSpecs,
  totalStrides,
} from "./part.js";

const schema = z.strictObject({
  type: z.literal("resnet"),
  /** Of the pixels. */
  channels: z.int().min(1).default(3),
  stem: z
    .strictObject({
      channels: z.int().min(1).default(64),
      /** An odd size. */
      kernel: z.int().min(1).default(7),
      stride: z.int().min(1).default(2),
      /** The largest of 3 x 3 with stride 2 follows. */
      pool: z.boolean().default(true),
    })
    .prefault({}),
  stages: z.array(stageSchema).min(1),
  /** Two 3 x 3 convolutions, or 1 x 1, 3 x 3, 1 x 1 with a quarter of the channels inside. */
  block: z.enum(["basic", "bottleneck"]).default("basic"),
  /** Share of images for which the last block's branch is left out in training; the first one's is 0. */
  dropPath: z.number().min(0).lt(1).default(0),
});
type Config = z.output<typeof schema>;

/** A convolution with its norm. */
interface Unit {
  readonly name: string;
  readonly inputs: number;
  readonly outputs: number;
  readonly kernel: number;
  readonly stride: number;
}

const unitSpecs = ({ name, inputs, outputs, kernel }: Unit): ParameterSpec[] => [
  { name: `${name}.convolution.weight`, shape: [outputs, inputs, kernel, kernel], initial: heNormal },
  ...normSpecs(`${name}.normalization`, outputs),
];

function runUnit(x: FeatureMap, { name, stride }: Unit, access: ConvnetAccess): FeatureMap {
  return batchNormOf(
    convolve(x, access.parameter(`${name}.convolution.weight`), { stride }),
    `${name}.normalization`,
    access,
  );
}

// One kernel forward and one backward: the gradient of the tensor package's `relu` is a comparison and a product.
const rectify = (rows: Tensor): Tensor => activation(rows, "relu");

const rectified = ({ rows, layout }: FeatureMap): FeatureMap => ({ rows: rectify(rows), layout });

interface Block {
  readonly shortcut?: Unit;
  readonly units: readonly Unit[];
  readonly dropPath: number;
}

function blockOf(name: string, inputs: number, outputs: number, stride: number, dropPath: number, type: string): Block {
  const inner = Math.max(1, Math.floor(outputs / 4));
  const plan: readonly [number, number, number, number][] =
    type === "basic"
      ? [
          [inputs, outputs, 3, stride],
          [outputs, outputs, 3, 1],
        ]
      : [
          [inputs, inner, 1, 1],
          [inner, inner, 3, stride],
          [inner, outputs, 1, 1],
        ];
  const units = plan.map(([from, to, kernel, step], i) => ({
    name: `${name}.layer.${i}`,
    inputs: from,
    outputs: to,
    kernel,
    stride: step,
  }));
  const straight = inputs === outputs && stride === 1;
  return {
    units,
    dropPath,
    ...(straight ? {} : { shortcut: { name: `${name}.shortcut`, inputs, outputs, kernel: 1, stride } }),
  };
}

function runBlock(x: FeatureMap, { units, shortcut, dropPath }: Block, access: ConvnetAccess): FeatureMap {
  let branch = x;
  for (const [i, unit] of units.entries()) {
    const y = runUnit(branch, unit, access);
    branch = i + 1 < units.length ? rectified(y) : y;
  }
  const kept = shortcut === undefined ? x.rows : runUnit(x, shortcut, access).rows;
  return { rows: rectify(add(access.dropPath(branch, dropPath), kept)), layout: branch.layout };
}

const jsonSchema = z.looseObject({
  num_channels: z.int().default(3),
  embedding_size: z.int().default(64),
  hidden_sizes: z.array(z.int()).default([256, 512, 1024, 2048]),
  depths: z.array(z.int()).default([3, 4, 6, 3]),
  layer_type: z.enum(["basic", "bottleneck"]).default("bottleneck"),
  hidden_act: z.literal("relu").default("relu"),
  downsample_in_first_stage: z.boolean().default(false),
  downsample_in_bottleneck: z.literal(false).default(false),
});

/** Fields of transformers' ResNetConfig, which knows one stem and strides of 2. */
function write({ channels, stem, stages, block }: Config): Record<string, unknown> | undefined {
  const strides = stageStrides(stages);
  const usual = stem.kernel === 7 && stem.stride === 2 && stem.pool;
  if (!usual || strides[0] > 2 || strides.slice(1).some((stride) => stride !== 2)) return undefined;
  return {
    num_channels: channels,
    embedding_size: stem.channels,
    hidden_sizes: stages.map((stage) => stage.channels),
    depths: stages.map(({ depth }) => depth),
    layer_type: block,
    hidden_act: "relu",
    downsample_in_first_stage: strides[0] === 2,
    downsample_in_bottleneck: false,
  };
}

/** Residual networks of any stem and stages. */
export const resnet = defineConvnet({
  schema,
  norm: "batch",
  modelType: "resnet",
  architecture: "ResNetModel",
  prefix: "resnet.",
  write,
  read(json) {
    const fields = jsonSchema.parse(json);
    return {
      type: "resnet" as const,
      channels: fields.num_channels,
      stem: { channels: fields.embedding_size },
      stages: fields.hidden_sizes.map((channels, i) => ({
        channels,
        depth: fields.depths[i],
        stride: i > 0 || fields.downsample_in_first_stage ? 2 : 1,
      })),
      block: fields.layer_type,
    };
  },
  bind(config) {
    const { stem, stages, block: type } = config;
    const strides = stageStrides(stages);
    const rates = dropRates(stages, config.dropPath);
    const first: Unit = {
      name: "embedder.embedder",
      inputs: config.channels,
      outputs: stem.channels,
      kernel: stem.kernel,
      stride: stem.stride,
    };
    const blocks = stages.map(({ channels, depth }, s) =>
      Array.from({ length: depth }, (_, l) => {
        const before = l > 0 ? channels : s > 0 ? stages[s - 1].channels : stem.channels;
        return blockOf(`encoder.stages.${s}.layers.${l}`, before, channels, l > 0 ? 1 : strides[s], rates[s][l], type);
      }),
    );
    const units = [
      first,
      ...blocks.flat().flatMap((block) => [...(block.shortcut ? [block.shortcut] : []), ...block.units]),
    ];
    return {
      parameters: units.flatMap(unitSpecs),
      statistics: units.flatMap(({ name, outputs }) => statisticSpecs(`${name}.normalization`, outputs)),
      strides: totalStrides(stem.stride * (stem.pool ? 2 : 1), strides),
      widths: stages.map(({ channels }) => channels),
      forward(pixels, access) {
        let x = rectified(runUnit(pixels, first, access));
        if (stem.pool) x = maxPool(x, { kernel: [3, 3], stride: 2, padding: 1 });
        return blocks.map((stage) => {
          for (const block of stage) x = runBlock(x, block, access);
          return x;
        });
      },
    };
  },
});
