// ViT (arXiv 2010.11929), as transformers has it: patches of an image as tokens, norms before the branches.
import type { Shape } from "@cloze/tensor";
import { z } from "zod";
import { patchGrid } from "../data/image-batch.js";
import type { EncoderConfig } from "../encoder/config.js";
import { parseConfig } from "../encoder/registry.js";
import type { HeadFields } from "./architectures.js";
import { activationOf, layerDropout, layersOf, nameOfActivation, rate, size } from "./bert-like.js";
import type { Family } from "./family.js";
import { labelFields, readLabels, writeLabels } from "./labels.js";
import { commonAliases, type NameRules, namesByRules } from "./name-rules.js";
import { reshaped } from "./stored-layout.js";

const sides = z.union([size, z.tuple([size, size])]);
const schema = z.looseObject({
  hidden_size: size.default(768),
  num_hidden_layers: z.int().min(0).default(12),
  num_attention_heads: size.default(12),
  intermediate_size: size.default(3072),
  hidden_act: z.string().default("gelu"),
  hidden_dropout_prob: rate.default(0),
  attention_probs_dropout_prob: rate.default(0),
  initializer_range: z.number().min(0).default(0.02),
  layer_norm_eps: z.number().positive().default(1e-12),
  image_size: sides.default(224),
  patch_size: sides.default(16),
  num_channels: size.default(3),
  qkv_bias: z.boolean().default(true),
  pooler_output_size: size.nullish(),
  pooler_act: z.string().default("tanh"),
});

const both = (side: z.output<typeof sides>): [number, number] => (typeof side === "number" ? [side, side] : side);
const oneIfEqual = ([height, width]: [number, number]) => (height === width ? height : [height, width]);
const patchesOf = ({ embeddings }: EncoderConfig) => (embeddings.type === "patches" ? embeddings : undefined);

function encoderNames(encoder: EncoderConfig): NameRules {
  const patches = patchesOf(encoder);
  const kernel = ([outputs]: Shape): Shape => [outputs, patches?.channels ?? 0, ...(patches?.patchSize ?? [])];
  const vector = reshaped((shape) => [1, 1, ...shape]);
  const layer = "encoder.layer.{i}";
  return {
    "embeddings.class": { names: ["embeddings.cls_token"], layout: vector },
    "embeddings.mask": { names: ["embeddings.mask_token"], layout: vector },
    "embeddings.position.weight": {
      names: ["embeddings.position_embeddings"],
      layout: reshaped((shape) => [1, ...shape]),
    },
    "embeddings.projection.weight": {
      names: ["embeddings.patch_embeddings.projection.weight"],
      layout: reshaped(kernel),
    },
    "embeddings.projection.bias": "embeddings.patch_embeddings.projection.bias",
    "layers.{i}.mixer.queryKeyValue": ["query", "key", "value"].map((name) => `${layer}.attention.attention.${name}`),
    "layers.{i}.mixer.output": `${layer}.attention.output.dense`,
    "layers.{i}.mixerNorm": `${layer}.layernorm_before`,
    "layers.{i}.channel.input": `${layer}.intermediate.dense`,
    "layers.{i}.channel.output": `${layer}.output.dense`,
    "layers.{i}.channelNorm": `${layer}.layernorm_after`,
    finalNorm: "layernorm",
  };
}

const aliases = commonAliases("vit", ["embeddings", "encoder", "layers", "layernorm", "pooler"]);

/** The name that transformers 5 has in memory for a tensor of a layer. */
function nameInMemory(name: string): string {
  const words: Readonly<Record<string, string>> = {
    "attention.attention.query": "attention.q_proj",
    "attention.attention.key": "attention.k_proj",
    "attention.attention.value": "attention.v_proj",
    "attention.output.dense": "attention.o_proj",
    "intermediate.dense": "mlp.fc1",
    "output.dense": "mlp.fc2",
  };
  return name.replace(
    /encoder\.layer\.(\d+)\.(.+)\.(weight|bias)$/,
    (_, layer: string, part: string, kind: string) => `layers.${layer}.${words[part] ?? part}.${kind}`,
  );
}

/** The token of the image, as it is. */
const classifier = ({ labels, names, problem }: HeadFields) => ({
  type: "sequence-classification" as const,
  labels,
  names,
  problem,
  dropout: 0,
  pooler: null,
});

export const vit: Family = {
  modelType: "vit",
  classPrefix: "ViT",
  fields: [...Object.keys(schema.shape), ...labelFields],
  heads: { ForImageClassification: classifier },
  readConfig(json) {
    const config = parseConfig(schema, json, "config.json");
    const [imageSize, patchSize] = [both(config.image_size), both(config.patch_size)];
    const [rows, columns] = patchGrid({ imageSize, patchSize });
    const { hidden_size: hiddenSize, pooler_output_size: pooled } = config;
    return {
      encoder: {
        vocabularySize: 0,
        segmentVocabularySize: 0,
        padId: null,
        hiddenSize,
        maxPositions: rows * columns + 1,
        embeddings: {
          type: "patches",
          imageSize,
          patchSize,
          channels: config.num_channels,
          dropout: config.hidden_dropout_prob,
        },
        normPosition: "pre",
        normEpsilon: config.layer_norm_eps,
        initializerRange: config.initializer_range,
        layers: layersOf(config.num_hidden_layers, {
          mixer: {
            type: "attention",
            heads: config.num_attention_heads,
            dropout: config.attention_probs_dropout_prob,
            bias: config.qkv_bias,
            ...(config.qkv_bias ? {} : { outputBias: true }),
          },
          channel: {
            type: "mlp",
            intermediateSize: config.intermediate_size,
            activation: activationOf(config.hidden_act),
          },
          dropout: config.hidden_dropout_prob,
        }),
      },
      head: {
        ...readLabels(json),
        pooler: {
          activation: activationOf(config.pooler_act, "pooler_act"),
          ...(typeof pooled === "number" && pooled !== hiddenSize ? { size: pooled } : {}),
        },
      },
    };
  },
  writeConfig(encoder, head) {
    const patches = patchesOf(encoder);
    const layer = encoder.layers[0];
    if (patches === undefined) return undefined;
    const { mixer, channel } = layer ?? {};
    if (layer !== undefined && (mixer?.type !== "attention" || channel?.type !== "mlp")) return undefined;
    return {
      hidden_size: encoder.hiddenSize,
      num_hidden_layers: encoder.layers.length,
      ...(mixer?.type === "attention" && channel?.type === "mlp"
        ? {
            num_attention_heads: mixer.heads,
            attention_probs_dropout_prob: mixer.dropout,
            qkv_bias: mixer.bias,
            intermediate_size: channel.intermediateSize,
            hidden_act: nameOfActivation(channel.activation),
          }
        : {}),
      hidden_dropout_prob: layerDropout(encoder),
      initializer_range: encoder.initializerRange,
      layer_norm_eps: encoder.normEpsilon,
      image_size: oneIfEqual(patches.imageSize),
      patch_size: oneIfEqual(patches.patchSize),
      num_channels: patches.channels,
      ...(head.type === "pooler" && head.pooler !== null
        ? {
            pooler_act: nameOfActivation(head.pooler.activation),
            pooler_output_size: head.pooler.size ?? encoder.hiddenSize,
          }
        : {}),
      ...writeLabels(head),
    };
  },
  names: (encoder, head) =>
    namesByRules(encoder, head, {
      base: "vit",
      encoder: encoderNames(encoder),
      head: { pooler: "{base}pooler.dense", classifier: "classifier" },
    }),
  aliases: (name) => [
    ...aliases(name),
    ...[name, ...aliases(name)].map(nameInMemory).filter((other) => other !== name),
  ],
};
