// ModernBERT (arXiv 2412.13663), as transformers has it: rotary positions, most layers with local attention, gated channels,
// norms before the branches, hardly any biases.
import { z } from "zod";
import type { EncoderConfig, LayerConfigInput } from "../encoder/config.js";
import { parseConfig } from "../encoder/registry.js";
import { ClozeError } from "../errors.js";
import type { HeadConfig } from "../heads/index.js";
import { activationOf, nameOfActivation, rate, size, unsupported } from "./bert-like.js";
import type { ConfigJson, Family } from "./family.js";
import { labelFields, readLabels, writeLabels } from "./labels.js";
import { commonAliases, type NameRules, namesByRules } from "./name-rules.js";

const theta = z
  .looseObject({ rope_theta: z.number().positive().optional(), rope_type: z.string().optional() })
  .nullish();
const schema = z.looseObject({
  vocab_size: size.default(50368),
  hidden_size: size.default(768),
  intermediate_size: size.default(1152),
  num_hidden_layers: z.int().min(0).default(22),
  num_attention_heads: size.default(12),
  hidden_activation: z.string().default("gelu"),
  max_position_embeddings: size.default(8192),
  initializer_range: z.number().min(0).default(0.02),
  norm_eps: z.number().positive().default(1e-5),
  norm_bias: z.boolean().default(false),
  pad_token_id: z.int().min(0).nullable().default(50283),
  attention_bias: z.boolean().default(false),
  attention_dropout: rate.default(0),
  embedding_dropout: rate.default(0),
  mlp_bias: z.boolean().default(false),
  mlp_dropout: rate.default(0),
  local_attention: size.default(128),
  global_attn_every_n_layers: size.default(3),
  layer_types: z.array(z.enum(["full_attention", "sliding_attention"])).nullish(),
  rope_parameters: z.looseObject({ full_attention: theta, sliding_attention: theta }).nullish(),
  global_rope_theta: z.number().positive().nullish(),
  local_rope_theta: z.number().positive().nullish(),
  rope_scaling: z.unknown().optional(),
  decoder_bias: z.boolean().default(true),
  classifier_pooling: z.enum(["cls", "mean"]).default("cls"),
  classifier_dropout: rate.default(0),
  classifier_bias: z.boolean().default(false),
  classifier_activation: z.string().default("gelu"),
  tie_word_embeddings: z.boolean().nullish(),
});
type Config = z.output<typeof schema>;

function layersOf(config: Config): LayerConfigInput[] {
  const { num_hidden_layers: count, layer_types, global_attn_every_n_layers: every } = config;
  if (layer_types !== undefined && layer_types !== null && layer_types.length !== count) {
    throw new ClozeError("CONFIG_INVALID", "config.json: layer_types names the kind of each layer", {
      expected: `${count} names`,
      received: String(layer_types.length),
    });
  }
  const { full_attention, sliding_attention } = config.rope_parameters ?? {};
  for (const part of [full_attention, sliding_attention]) {
    const type = part?.rope_type ?? "default";
    if (type !== "default") throw unsupported("rope_type", type, "default");
  }
  if (config.rope_scaling !== undefined && config.rope_scaling !== null) {
    throw unsupported("rope_scaling", config.rope_scaling, "null");
  }
  const global = full_attention?.rope_theta ?? config.global_rope_theta ?? 160000;
  // A missing local theta means 10000, an explicit null the global one.
  const local =
    sliding_attention?.rope_theta ?? (config.local_rope_theta === null ? global : (config.local_rope_theta ?? 10000));
  return Array.from({ length: count }, (_, i): LayerConfigInput => {
    const full = layer_types?.[i] === undefined ? i % every === 0 : layer_types[i] === "full_attention";
    return {
      mixer: {
        type: "attention",
        heads: config.num_attention_heads,
        dropout: config.attention_dropout,
        bias: config.attention_bias,
        window: full ? 0 : Math.floor(config.local_attention / 2),
        rotary: { theta: full ? global : local },
      },
      channel: {
        type: "gated-mlp",
        intermediateSize: config.intermediate_size,
        activation: activationOf(config.hidden_activation, "hidden_activation"),
        bias: config.mlp_bias,
        dropout: config.mlp_dropout,
      },
      dropout: 0,
      mixerDropout: config.attention_dropout,
      mixerNorm: i > 0,
    };
  });
}

/** The fields of the layers, as far as these are ModernBERT's. */
function writeLayers({ layers }: EncoderConfig): ConfigJson | undefined {
  const mixers = layers.flatMap(({ mixer }) => (mixer.type === "attention" ? [mixer] : []));
  const [mixer] = mixers;
  const channel = layers[0]?.channel;
  if (mixer === undefined || mixers.length !== layers.length || channel?.type !== "gated-mlp") return undefined;
  const local = mixers.find(({ window }) => window > 0);
  const global = mixers.find(({ window }) => window === 0);
  const types = mixers.map(({ window }) => (window > 0 ? "sliding_attention" : "full_attention"));
  const every = types.indexOf("full_attention", 1);
  return {
    num_attention_heads: mixer.heads,
    attention_bias: mixer.bias,
    attention_dropout: mixer.dropout,
    intermediate_size: channel.intermediateSize,
    hidden_activation: nameOfActivation(channel.activation),
    mlp_bias: channel.bias,
    mlp_dropout: channel.dropout,
    ...(local === undefined ? {} : { local_attention: 2 * local.window }),
    ...(every > 0 ? { global_attn_every_n_layers: every } : {}),
    layer_types: types,
    rope_parameters: {
      full_attention: { rope_theta: global?.rotary?.theta ?? 160000, rope_type: "default" },
      sliding_attention: { rope_theta: local?.rotary?.theta ?? 10000, rope_type: "default" },
    },
  };
}

function writeHead(head: HeadConfig): ConfigJson {
  const transform = "pooler" in head ? head.pooler : "transform" in head ? head.transform : null;
  return {
    ...("tied" in head ? { tie_word_embeddings: head.tied, decoder_bias: head.decoderBias } : {}),
    ...(transform === null
      ? {}
      : { classifier_activation: nameOfActivation(transform.activation), classifier_bias: transform.bias }),
    ...("pooling" in head ? { classifier_pooling: head.pooling === "first" ? "cls" : head.pooling } : {}),
    ...("dropout" in head ? { classifier_dropout: head.dropout } : {}),
    ...writeLabels(head),
  };
}

const encoderNames: NameRules = {
  "embeddings.word": "embeddings.tok_embeddings",
  "embeddings.norm": "embeddings.norm",
  "layers.{i}.mixerNorm": "layers.{i}.attn_norm",
  "layers.{i}.mixer.queryKeyValue": "layers.{i}.attn.Wqkv",
  "layers.{i}.mixer.output": "layers.{i}.attn.Wo",
  "layers.{i}.channelNorm": "layers.{i}.mlp_norm",
  "layers.{i}.channel.input": "layers.{i}.mlp.Wi",
  "layers.{i}.channel.output": "layers.{i}.mlp.Wo",
  finalNorm: "final_norm",
};
const headNames: NameRules = {
  pooler: "head.dense",
  poolerNorm: "head.norm",
  transform: "head.dense",
  transformNorm: "head.norm",
  decoder: "decoder",
  classifier: "classifier",
  span: "classifier",
};

export const modernbert: Family = {
  modelType: "modernbert",
  classPrefix: "ModernBert",
  fields: [...Object.keys(schema.shape), ...labelFields],
  heads: { Model: () => ({ type: "none" }) },
  readConfig(json) {
    const config = parseConfig(schema, json, "config.json");
    const transform = {
      activation: activationOf(config.classifier_activation, "classifier_activation"),
      bias: config.classifier_bias,
      norm: true,
    };
    return {
      encoder: {
        vocabularySize: config.vocab_size,
        hiddenSize: config.hidden_size,
        maxPositions: config.max_position_embeddings,
        segmentVocabularySize: 0,
        embeddings: { positions: "none", dropout: config.embedding_dropout },
        padId: config.pad_token_id,
        normBias: config.norm_bias,
        normEpsilon: config.norm_eps,
        normPosition: "pre",
        initializerRange: config.initializer_range,
        layers: layersOf(config),
      },
      head: {
        ...readLabels(json),
        tied: config.tie_word_embeddings ?? true,
        decoderBias: config.decoder_bias,
        transform,
        tokenTransform: transform,
        pooler: transform,
        pooling: config.classifier_pooling === "cls" ? "first" : "mean",
        dropout: config.classifier_dropout,
        answerDropout: config.classifier_dropout,
      },
    };
  },
  writeConfig(encoder, head) {
    const layers = writeLayers(encoder);
    if (layers === undefined) return undefined;
    return {
      vocab_size: encoder.vocabularySize,
      hidden_size: encoder.hiddenSize,
      num_hidden_layers: encoder.layers.length,
      max_position_embeddings: encoder.maxPositions,
      initializer_range: encoder.initializerRange,
      norm_eps: encoder.normEpsilon,
      norm_bias: encoder.normBias,
      pad_token_id: encoder.padId,
      embedding_dropout: "dropout" in encoder.embeddings ? encoder.embeddings.dropout : 0,
      ...layers,
      ...writeHead(head),
    };
  },
  names: (encoder, head) => namesByRules(encoder, head, { base: "model", encoder: encoderNames, head: headNames }),
  aliases: commonAliases("model", ["embeddings", "layers", "final_norm"]),
};
