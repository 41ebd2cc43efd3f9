// What a convolutional network is made of: a part declares its configuration, its parameters and its forward pass on active
// places; whoever builds, trains or saves networks asks for none by name.
import { randomNormal, type Tensor, truncatedNormal } from "@cloze/tensor";
import { z } from "zod";
import type { Initial, ParameterSpec } from "../../encoder/part.js";
import type { FeatureMap } from "../feature-map.js";

/** What the forward pass of a part can reach. */
export interface ConvnetAccess {
  parameter(name: string): Tensor;
  /** One of the running statistics. */
  statistic(name: string): Tensor;
  readonly training: boolean;
  /** Leaves a residual branch out for whole images, where training asks for it. */
  dropPath(branch: FeatureMap, rate: number): Tensor;
}

/** A network with its configuration. */
export interface BoundConvnet {
  readonly parameters: readonly ParameterSpec[];
  /** What changes in training without a gradient: running means and variances. */
  readonly statistics: readonly ParameterSpec[];
  /** Pixels for each place, and channels, of each stage's output. */
  readonly strides: readonly number[];
  readonly widths: readonly number[];
  /** The output of each stage. */
  forward(x: FeatureMap, access: ConvnetAccess): readonly FeatureMap[];
  /** Applied to the means of the last stage. [images, channels] */
  pooled?(means: Tensor, access: ConvnetAccess): Tensor;
}

/** config.json of a model type of Hugging Face. */
export type ConvnetJson = Readonly<Record<string, unknown>>;

/** A kind of convolutional network: `nets/`. */
export interface ConvnetPart<Schema extends z.ZodType = z.ZodType> {
  readonly schema: Schema;
  /** What its norms take together: all places of a channel, or all channels of a place. */
  readonly norm: "batch" | "layer";
  /** The model type of Hugging Face that it is where `write` gives fields, and the class of the bare network there. */
  readonly modelType: string;
  readonly architecture: string;
  /** Names in files may begin with this. */
  readonly prefix: string;
  /** The fields of that model type, or undefined where it has none for this configuration. */
  write(config: z.output<Schema>): ConvnetJson | undefined;
  /** The configuration that the fields describe. */
  read(json: ConvnetJson): z.input<Schema>;
  bind(config: z.output<Schema>): BoundConvnet;
}

/** Lets TypeScript infer the schema of a network. */
export const defineConvnet = <Schema extends z.ZodType>(part: ConvnetPart<Schema>): ConvnetPart<Schema> => part;

/** A row of blocks; the first one takes the step. */
export const stageSchema = z.strictObject({
  channels: z.int().min(1),
  depth: z.int().min(1),
  /** Default: 1 for the first stage, 2 for the others. */
  stride: z.int().min(1).optional(),
});
export type StageConfig = z.output<typeof stageSchema>;

/** Steps of the stages. */
export const stageStrides = (stages: readonly StageConfig[]): number[] =>
  stages.map(({ stride }, i) => stride ?? (i === 0 ? 1 : 2));

/** Each stage's pixels for a place, behind a stem. */
export function totalStrides(stem: number, strides: readonly number[]): number[] {
  let total = stem;
  return strides.map((stride) => (total *= stride));
}

/** The rate of each block: from 0 for the first to `last` for the last one. */
export const dropRates = (stages: readonly StageConfig[], last: number): number[][] => {
  const blocks = stages.reduce((total, { depth }) => total + depth, 0);
  let block = 0;
  return stages.map(({ depth }) => Array.from({ length: depth }, () => (last * block++) / Math.max(1, blocks - 1)));
};

/** He initialisation by what leaves a kernel [out, in, height, width]. */
export const heNormal: Initial = (shape, seed) =>
  randomNormal(shape, { seed, std: Math.sqrt(2 / (shape[0] * shape[2] * shape[3])) });

/** Normal numbers of deviation 0.02, cut at ±2 as timm cuts them: practically never. */
export const smallNormal: Initial = (shape, seed) => truncatedNormal(shape, { seed, std: 0.02, bound: 100 });

/** Weight and bias of a norm. */
export const normSpecs = (name: string, channels: number): ParameterSpec[] => [
  { name: `${name}.weight`, shape: [channels], initial: "ones" },
  { name: `${name}.bias`, shape: [channels], initial: "zeros" },
];

/** What a batch norm keeps beside them. */
export const statisticSpecs = (name: string, channels: number): ParameterSpec[] => [
  { name: `${name}.running_mean`, shape: [channels], initial: "zeros" },
  { name: `${name}.running_var`, shape: [channels], initial: "ones" },
];
