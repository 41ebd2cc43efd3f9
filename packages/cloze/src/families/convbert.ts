// ConvBERT (arXiv 2008.02496), as transformers has it: half of the heads are convolutions whose kernels follow from the text.
import { contiguous, permute, reshape } from "@cloze/tensor";
import { z } from "zod";
import type { EncoderConfig } from "../encoder/config.js";
import { parseConfig } from "../encoder/registry.js";
import {
  activationOf,
  bertEncoder,
  bertFields,
  bertHead,
  bertLayerNames,
  denseClassifier,
  denseClassifierNames,
  layersOf,
  size,
  writeBertFields,
} from "./bert-like.js";
import { generatorNames, generatorTransform, narrowEmbeddingNames } from "./electra.js";
import type { Family } from "./family.js";
import { labelFields } from "./labels.js";
import { commonAliases, type NameRules, namesByRules } from "./name-rules.js";
import { readSummary, summaryFields, writeSummary } from "./sequence-summary.js";
import { reshaped, type StoredLayout } from "./stored-layout.js";

const schema = z.looseObject({
  ...bertFields,
  pad_token_id: z.int().min(0).nullable().default(1),
  embedding_size: size.default(768),
  head_ratio: size.default(2),
  conv_kernel_size: size.default(9),
  num_groups: size.default(1),
  ...summaryFields,
});

/** [outputs, inputs / groups] as [groups, inputs / groups, outputs / groups]. */
const byGroup = (groups: number): StoredLayout => ({
  shapes: ([outputs, inputs]) => [[groups, inputs, outputs / groups]],
  read: ([part], shape) => reshape(contiguous(permute(part, [0, 2, 1])), shape),
  write: (value) => [contiguous(permute(reshape(value, [groups, value.shape[0] / groups, value.shape[1]]), [0, 2, 1]))],
});

/** Groups of the two matrices of the channels. */
function groupsOf({ layers }: EncoderConfig): number {
  const [first] = layers;
  const input = first?.channel.type === "mlp" ? first.channel.weights?.input : undefined;
  return input?.type === "grouped" ? input.groups : 1;
}

function layerNames(groups: number): NameRules {
  const own = "encoder.layer.{i}.attention.self";
  const group = (name: string): NameRules[string] => (groups === 1 ? name : { names: [name], layout: byGroup(groups) });
  return {
    ...bertLayerNames,
    "layers.{i}.mixer.depthwise": {
      names: [`${own}.key_conv_attn_layer.depthwise.weight`],
      layout: reshaped(([width, taps]) => [width, 1, taps]),
    },
    "layers.{i}.mixer.pointwise.weight": {
      names: [`${own}.key_conv_attn_layer.pointwise.weight`],
      layout: reshaped((shape) => [...shape, 1]),
    },
    "layers.{i}.mixer.pointwise.bias": {
      names: [`${own}.key_conv_attn_layer.bias`],
      layout: reshaped((shape) => [...shape, 1]),
    },
    "layers.{i}.mixer.kernel": `${own}.conv_kernel_layer`,
    "layers.{i}.mixer.values": `${own}.conv_out_layer`,
    "layers.{i}.channel.input.weight": group("encoder.layer.{i}.intermediate.dense.weight"),
    "layers.{i}.channel.output.weight": group("encoder.layer.{i}.output.dense.weight"),
  };
}

export const convbert: Family = {
  modelType: "convbert",
  classPrefix: "ConvBert",
  fields: [...Object.keys(schema.shape), ...labelFields],
  paddingCounts: true,
  heads: {
    Model: () => ({ type: "none" }),
    ForMaskedLM: ({ tied }) => ({ type: "masked-language", tied, transform: generatorTransform }),
    ForSequenceClassification: denseClassifier,
    ForMultipleChoice: ({ choiceDropout, pooling, pooler }) => ({
      type: "multiple-choice",
      dropout: choiceDropout ?? 0,
      pooling,
      pooler,
    }),
  },
  readConfig(json) {
    const config = parseConfig(schema, json, "config.json");
    const { num_groups: groups, hidden_dropout_prob: dropout } = config;
    const weight = { type: "grouped", groups } as const;
    return {
      encoder: {
        ...bertEncoder(config),
        embeddings: { dropout, size: config.embedding_size },
        layers: layersOf(config.num_hidden_layers, {
          mixer: {
            type: "convolution-attention",
            heads: Math.max(1, Math.floor(config.num_attention_heads / config.head_ratio)),
            kernelSize: config.conv_kernel_size,
            dropout: config.attention_probs_dropout_prob,
          },
          channel: {
            type: "mlp",
            intermediateSize: config.intermediate_size,
            activation: activationOf(config.hidden_act),
            ...(groups === 1 ? {} : { weights: { input: weight, output: weight } }),
          },
          dropout,
        }),
      },
      head: {
        ...bertHead(json, config),
        ...readSummary(config),
      },
    };
  },
  writeConfig(encoder, head) {
    const { mixer } = encoder.layers[0] ?? {};
    if (mixer !== undefined && mixer.type !== "convolution-attention") return undefined;
    const width = "size" in encoder.embeddings ? encoder.embeddings.size : undefined;
    return {
      ...writeBertFields(encoder, head),
      embedding_size: width ?? encoder.hiddenSize,
      ...(mixer === undefined
        ? {}
        : { num_attention_heads: 2 * mixer.heads, head_ratio: 2, conv_kernel_size: mixer.kernelSize }),
      num_groups: groupsOf(encoder),
      ...writeSummary(head),
    };
  },
  names: (encoder, head) =>
    namesByRules(encoder, head, {
      base: "convbert",
      encoder: { ...narrowEmbeddingNames, ...layerNames(groupsOf(encoder)) },
      head: {
        ...generatorNames,
        ...(head.type === "sequence-classification"
          ? denseClassifierNames
          : { pooler: "sequence_summary.summary", classifier: "classifier" }),
        span: "qa_outputs",
      },
    }),
  aliases: commonAliases("convbert", ["embeddings", "embeddings_project", "encoder"]),
};
