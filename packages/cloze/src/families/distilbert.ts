// DistilBERT (arXiv 1910.01108), as transformers has it: BERT without segments, with its own words for everything.
import { z } from "zod";
import { parseConfig } from "../encoder/registry.js";
import { activationOf, layerDropout, layersOf, nameOfActivation, rate, size } from "./bert-like.js";
import type { Family } from "./family.js";
import { labelFields, readLabels, writeLabels } from "./labels.js";
import { commonAliases, type NameRules, namesByRules } from "./name-rules.js";

const schema = z.looseObject({
  vocab_size: size.default(30522),
  dim: size.default(768),
  n_layers: z.int().min(0).default(6),
  n_heads: size.default(12),
  hidden_dim: size.default(3072),
  activation: z.string().default("gelu"),
  dropout: rate.default(0.1),
  attention_dropout: rate.default(0.1),
  seq_classif_dropout: rate.default(0.2),
  qa_dropout: rate.default(0.1),
  max_position_embeddings: size.default(512),
  initializer_range: z.number().min(0).default(0.02),
  pad_token_id: z.int().min(0).nullable().default(0),
  tie_word_embeddings: z.boolean().nullish(),
});

const encoderNames: NameRules = {
  "embeddings.word": "embeddings.word_embeddings",
  "embeddings.position": "embeddings.position_embeddings",
  "embeddings.norm": "embeddings.LayerNorm",
  "layers.{i}.mixer.queryKeyValue": ["q_lin", "k_lin", "v_lin"].map(
    (name) => `transformer.layer.{i}.attention.${name}`,
  ),
  "layers.{i}.mixer.output": "transformer.layer.{i}.attention.out_lin",
  "layers.{i}.mixerNorm": "transformer.layer.{i}.sa_layer_norm",
  "layers.{i}.channel.input": "transformer.layer.{i}.ffn.lin1",
  "layers.{i}.channel.output": "transformer.layer.{i}.ffn.lin2",
  "layers.{i}.channelNorm": "transformer.layer.{i}.output_layer_norm",
};

const headNames: NameRules = {
  pooler: "pre_classifier",
  classifier: "classifier",
  transform: "vocab_transform",
  transformNorm: "vocab_layer_norm",
  decoder: "vocab_projector",
  span: "qa_outputs",
};

export const distilbert: Family = {
  modelType: "distilbert",
  classPrefix: "DistilBert",
  fields: [...Object.keys(schema.shape), ...labelFields],
  heads: { Model: () => ({ type: "none" }) },
  readConfig(json) {
    const config = parseConfig(schema, json, "config.json");
    const activation = activationOf(config.activation, "activation");
    return {
      encoder: {
        vocabularySize: config.vocab_size,
        hiddenSize: config.dim,
        maxPositions: config.max_position_embeddings,
        segmentVocabularySize: 0,
        embeddings: { dropout: config.dropout },
        padId: config.pad_token_id,
        initializerRange: config.initializer_range,
        layers: layersOf(config.n_layers, {
          mixer: { type: "attention", heads: config.n_heads, dropout: config.attention_dropout },
          channel: { type: "mlp", intermediateSize: config.hidden_dim, activation },
          dropout: config.dropout,
        }),
      },
      head: {
        ...readLabels(json),
        activation,
        tied: config.tie_word_embeddings ?? true,
        pooler: { activation: "relu" },
        dropout: config.seq_classif_dropout,
        tokenDropout: config.dropout,
        answerDropout: config.qa_dropout,
      },
    };
  },
  writeConfig(encoder, head) {
    const layer = encoder.layers[0];
    if (layer?.mixer.type !== "attention" || layer.channel.type !== "mlp") return undefined;
    return {
      vocab_size: encoder.vocabularySize,
      dim: encoder.hiddenSize,
      n_layers: encoder.layers.length,
      n_heads: layer.mixer.heads,
      hidden_dim: layer.channel.intermediateSize,
      activation: nameOfActivation(layer.channel.activation),
      dropout: layerDropout(encoder),
      attention_dropout: layer.mixer.dropout,
      max_position_embeddings: encoder.maxPositions,
      initializer_range: encoder.initializerRange,
      pad_token_id: encoder.padId,
      ...("tied" in head ? { tie_word_embeddings: head.tied } : {}),
      ...(head.type === "sequence-classification" || head.type === "multiple-choice"
        ? { seq_classif_dropout: head.dropout }
        : {}),
      ...(head.type === "question-answering" ? { qa_dropout: head.dropout } : {}),
      ...writeLabels(head),
    };
  },
  names: (encoder, head) => namesByRules(encoder, head, { base: "distilbert", encoder: encoderNames, head: headNames }),
  aliases: commonAliases("distilbert", ["embeddings", "transformer"]),
};
