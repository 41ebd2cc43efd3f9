// GPT-2, as transformers has it: a decoder, for perplexity and comparison. Its matrices are stored transposed.
import { z } from "zod";
import { parseConfig } from "../encoder/registry.js";
import { activationOf, nameOfActivation, rate, size, unsupported } from "./bert-like.js";
import type { Family } from "./family.js";
import { labelFields, readLabels, writeLabels } from "./labels.js";
import { commonAliases, type NameRules, namesByRules } from "./name-rules.js";
import { transposed } from "./stored-layout.js";

const schema = z.looseObject({
  vocab_size: size.default(50257),
  n_positions: size.default(1024),
  n_embd: size.default(768),
  n_layer: z.int().min(0).default(12),
  n_head: size.default(12),
  n_inner: size.nullish(),
  activation_function: z.string().default("gelu_new"),
  resid_pdrop: rate.default(0.1),
  embd_pdrop: rate.default(0.1),
  attn_pdrop: rate.default(0.1),
  layer_norm_epsilon: z.number().positive().default(1e-5),
  initializer_range: z.number().min(0).default(0.02),
  pad_token_id: z.int().min(0).nullish(),
  classifier_dropout: rate.nullish(),
  scale_attn_weights: z.boolean().default(true),
  scale_attn_by_inverse_layer_idx: z.boolean().default(false),
  add_cross_attention: z.boolean().nullish(),
  tie_word_embeddings: z.boolean().nullish(),
});

const conv1d = (name: string) => ({ names: [name], layout: transposed });
const encoderNames: NameRules = {
  "embeddings.word": "wte",
  "embeddings.position": "wpe",
  "layers.{i}.mixerNorm": "h.{i}.ln_1",
  "layers.{i}.mixer.queryKeyValue": conv1d("h.{i}.attn.c_attn"),
  "layers.{i}.mixer.output": conv1d("h.{i}.attn.c_proj"),
  "layers.{i}.channelNorm": "h.{i}.ln_2",
  "layers.{i}.channel.input": conv1d("h.{i}.mlp.c_fc"),
  "layers.{i}.channel.output": conv1d("h.{i}.mlp.c_proj"),
  finalNorm: "ln_f",
};

/** What a layer's scores are multiplied by besides 1 / sqrt(head size). */
function scoreScaleOf(config: z.output<typeof schema>, layer: number): { scoreScale?: number } {
  const size = config.n_embd / config.n_head;
  const scale =
    (config.scale_attn_weights ? 1 : Math.sqrt(size)) / (config.scale_attn_by_inverse_layer_idx ? layer + 1 : 1);
  return scale === 1 ? {} : { scoreScale: scale };
}

export const gpt2: Family = {
  modelType: "gpt2",
  classPrefix: "GPT2",
  fields: [...Object.keys(schema.shape), ...labelFields],
  heads: {
    Model: () => ({ type: "none" }),
    ForSequenceClassification: ({ labels, names, problem, dropout }) => ({
      type: "sequence-classification",
      labels,
      names,
      problem,
      dropout,
      bias: false,
      pooling: "last",
      pooler: null,
    }),
  },
  readConfig(json) {
    const config = parseConfig(schema, json, "config.json");
    if (config.add_cross_attention) throw unsupported("add_cross_attention", true, "false");
    return {
      encoder: {
        vocabularySize: config.vocab_size,
        hiddenSize: config.n_embd,
        maxPositions: config.n_positions,
        segmentVocabularySize: 0,
        embeddings: { norm: false, dropout: config.embd_pdrop, paddingRow: false },
        padId: config.pad_token_id ?? null,
        normEpsilon: config.layer_norm_epsilon,
        normPosition: "pre",
        initializerRange: config.initializer_range,
        layers: Array.from({ length: config.n_layer }, (_, i) => ({
          mixer: {
            type: "attention",
            heads: config.n_head,
            dropout: config.attn_pdrop,
            causal: true,
            ...scoreScaleOf(config, i),
          },
          channel: {
            type: "mlp",
            intermediateSize: config.n_inner ?? 4 * config.n_embd,
            activation: activationOf(config.activation_function, "activation_function"),
          },
          dropout: config.resid_pdrop,
        })),
      },
      head: {
        ...readLabels(json),
        tied: config.tie_word_embeddings ?? true,
        transform: null,
        decoderBias: false,
        pooling: "last",
        pooler: null,
        dropout: 0,
        tokenDropout: config.classifier_dropout ?? 0.1,
      },
    };
  },
  writeConfig(encoder, head) {
    const layer = encoder.layers[0];
    if (layer?.mixer.type !== "attention" || layer.channel.type !== "mlp") return undefined;
    const inner = layer.channel.intermediateSize;
    const scales = encoder.layers.map(({ mixer }) => (mixer.type === "attention" ? (mixer.scoreScale ?? 1) : 1));
    return {
      vocab_size: encoder.vocabularySize,
      n_positions: encoder.maxPositions,
      n_embd: encoder.hiddenSize,
      n_layer: encoder.layers.length,
      n_head: layer.mixer.heads,
      n_inner: inner === 4 * encoder.hiddenSize ? null : inner,
      activation_function: nameOfActivation(layer.channel.activation),
      resid_pdrop: layer.dropout,
      embd_pdrop: "dropout" in encoder.embeddings ? encoder.embeddings.dropout : 0,
      attn_pdrop: layer.mixer.dropout,
      layer_norm_epsilon: encoder.normEpsilon,
      initializer_range: encoder.initializerRange,
      scale_attn_weights: scales[0] === 1,
      scale_attn_by_inverse_layer_idx: scales[scales.length - 1] !== scales[0],
      pad_token_id: encoder.padId,
      ...("tied" in head ? { tie_word_embeddings: head.tied } : {}),
      ...(head.type === "token-classification" && head.dropout !== 0.1 ? { classifier_dropout: head.dropout } : {}),
      ...writeLabels(head),
    };
  },
  names: (encoder, head) =>
    namesByRules(encoder, head, {
      base: "transformer",
      encoder: encoderNames,
      head: {
        "decoder.weight": "lm_head.weight",
        classifier: head.type === "sequence-classification" ? "score" : "classifier",
        span: "qa_outputs",
      },
    }),
  aliases: commonAliases("transformer", ["wte", "wpe", "h", "ln_f"]),
};
