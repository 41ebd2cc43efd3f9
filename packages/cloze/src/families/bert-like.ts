// What the model types that grew from BERT share in config.json and in their names of weights.
import type { ActivationName } from "@cloze/tensor";
import { z } from "zod";
import type { EncoderConfig, EncoderConfigInput, LayerConfigInput } from "../encoder/config.js";
import { ClozeError } from "../errors.js";
import type { HeadConfig } from "../heads/index.js";
import type { HeadFields } from "./architectures.js";
import type { ConfigJson } from "./family.js";
import { readLabels, writeLabels } from "./labels.js";
import type { NameRules } from "./name-rules.js";

const activations: Readonly<Record<string, ActivationName>> = {
  gelu: "gelu",
  gelu_python: "gelu",
  gelu_new: "geluTanh",
  gelu_pytorch_tanh: "geluTanh",
  gelu_fast: "geluTanh",
  gelu_python_tanh: "geluTanh",
  gelu_accurate: "geluTanh",
  quick_gelu: "quickGelu",
  relu: "relu",
  silu: "silu",
  swish: "silu",
  tanh: "tanh",
  linear: "none",
};

/** An error for what config.json asks for and Cloze has not. */
export const unsupported = (field: string, received: unknown, expected: string): ClozeError =>
  new ClozeError("CONFIG_UNSUPPORTED", `config.json: Cloze has no model with this ${field}`, {
    expected,
    received: JSON.stringify(received),
  });

/** The activation of a Hugging Face name. @throws CONFIG_UNSUPPORTED */
export function activationOf(name: string, field = "hidden_act"): ActivationName {
  if (Object.hasOwn(activations, name)) return activations[name];
  throw unsupported(field, name, Object.keys(activations).join(", "));
}

/** The Hugging Face name of an activation: what was read, where it means the same. */
export const nameOfActivation = (activation: ActivationName, preferred?: string): string =>
  (preferred !== undefined && activations[preferred] === activation ? preferred : undefined) ??
  Object.keys(activations).find((name) => activations[name] === activation) ??
  "gelu";

export const size = z.int().min(1);
export const rate = z.number().min(0).lt(1);

/** Fields that BERT's descendants share, with BERT's defaults. */
export const bertFields = {
  vocab_size: size.default(30522),
  hidden_size: size.default(768),
  num_hidden_layers: z.int().min(0).default(12),
  num_attention_heads: size.default(12),
  intermediate_size: size.default(3072),
  hidden_act: z.string().default("gelu"),
  hidden_dropout_prob: rate.default(0.1),
  attention_probs_dropout_prob: rate.default(0.1),
  max_position_embeddings: size.default(512),
  type_vocab_size: z.int().min(0).default(2),
  initializer_range: z.number().min(0).default(0.02),
  layer_norm_eps: z.number().positive().default(1e-12),
  pad_token_id: z.int().min(0).nullable().default(0),
  classifier_dropout: rate.nullish(),
  is_decoder: z.boolean().nullish(),
  add_cross_attention: z.boolean().nullish(),
  position_embedding_type: z.string().nullish(),
  tie_word_embeddings: z.boolean().nullish(),
};
export type BertFields = z.output<ReturnType<typeof z.looseObject<typeof bertFields>>>;

/** Throws CONFIG_UNSUPPORTED for what no descendant of BERT does here: cross-attention, relative keys. */
export function checkBertFields(config: BertFields): void {
  if ((config.position_embedding_type ?? "absolute") !== "absolute") {
    throw unsupported("position_embedding_type", config.position_embedding_type, "absolute");
  }
  if (config.add_cross_attention) throw unsupported("add_cross_attention", true, "false");
}

/** The layer that all layers of a BERT are. */
export function bertLayer(config: BertFields): LayerConfigInput {
  return {
    mixer: {
      type: "attention",
      heads: config.num_attention_heads,
      dropout: config.attention_probs_dropout_prob,
      causal: config.is_decoder ?? false,
    },
    channel: {
      type: "mlp",
      intermediateSize: config.intermediate_size,
      activation: activationOf(config.hidden_act),
    },
    dropout: config.hidden_dropout_prob,
  };
}

/** Many times the same layer. */
export const layersOf = (count: number, layer: LayerConfigInput): LayerConfigInput[] =>
  Array.from({ length: count }, () => layer);

/** The encoder of a BERT; descendants change what differs. @throws CONFIG_UNSUPPORTED */
export function bertEncoder(config: BertFields): EncoderConfigInput {
  checkBertFields(config);
  return {
    vocabularySize: config.vocab_size,
    hiddenSize: config.hidden_size,
    maxPositions: config.max_position_embeddings,
    segmentVocabularySize: config.type_vocab_size,
    embeddings: { dropout: config.hidden_dropout_prob },
    padId: config.pad_token_id,
    normEpsilon: config.layer_norm_eps,
    initializerRange: config.initializer_range,
    layers: layersOf(config.num_hidden_layers, bertLayer(config)),
  };
}

/** What BERT's config says for heads. @throws CONFIG_INVALID */
export const bertHead = (json: ConfigJson, config: BertFields): HeadFields => ({
  ...readLabels(json),
  activation: activationOf(config.hidden_act),
  tied: config.tie_word_embeddings ?? true,
  dropout: config.classifier_dropout ?? config.hidden_dropout_prob,
});

/** A sequence classifier of two matrices instead of a pooler: dense, activation, dense, with dropout before both. */
export const denseClassifier = ({ labels, names, problem, dropout, activation }: HeadFields) => ({
  type: "sequence-classification" as const,
  labels,
  names,
  problem,
  dropout,
  pooler: { activation, dropout },
});

/** The dropout of an encoder's layers. */
export const layerDropout = ({ layers, embeddings }: EncoderConfig): number =>
  layers[0]?.dropout ?? ("dropout" in embeddings ? embeddings.dropout : 0.1);

/** BERT's fields of an encoder whose layers are attention (of any kind) and an MLP. */
export function writeBertFields(encoder: EncoderConfig, head: HeadConfig): ConfigJson {
  const [layer] = encoder.layers;
  const { mixer, channel } = layer ?? {};
  const number = (part: object | undefined, field: string): unknown =>
    part === undefined ? undefined : (part as Record<string, unknown>)[field];
  const dropout = layerDropout(encoder);
  const activation = number(channel, "activation");
  return {
    vocab_size: encoder.vocabularySize,
    hidden_size: encoder.hiddenSize,
    num_hidden_layers: encoder.layers.length,
    num_attention_heads: number(mixer, "heads"),
    intermediate_size: number(channel, "intermediateSize"),
    hidden_act: typeof activation === "string" ? nameOfActivation(activation as ActivationName) : undefined,
    hidden_dropout_prob: dropout,
    attention_probs_dropout_prob: number(mixer, "dropout"),
    max_position_embeddings: encoder.maxPositions,
    type_vocab_size: encoder.segmentVocabularySize,
    initializer_range: encoder.initializerRange,
    layer_norm_eps: encoder.normEpsilon,
    pad_token_id: encoder.padId,
    is_decoder: number(mixer, "causal"),
    ...writeHeadFields(head, dropout),
  };
}

/** The fields for a head that BERT's descendants share. */
export function writeHeadFields(head: HeadConfig, dropout: number): ConfigJson {
  return {
    ...("tied" in head ? { tie_word_embeddings: head.tied } : {}),
    ...("dropout" in head && head.type !== "question-answering"
      ? { classifier_dropout: head.dropout === dropout ? null : head.dropout }
      : {}),
    ...writeLabels(head),
  };
}

/** Names of BERT's embeddings. */
export const bertEmbeddingNames: NameRules = {
  "embeddings.word": "embeddings.word_embeddings",
  "embeddings.position": "embeddings.position_embeddings",
  "embeddings.segment": "embeddings.token_type_embeddings",
  "embeddings.norm": "embeddings.LayerNorm",
};

/** Names of BERT's layers. */
export const bertLayerNames: NameRules = {
  "layers.{i}.mixer.queryKeyValue": ["query", "key", "value"].map((name) => `encoder.layer.{i}.attention.self.${name}`),
  "layers.{i}.mixer.output": "encoder.layer.{i}.attention.output.dense",
  "layers.{i}.mixerNorm": "encoder.layer.{i}.attention.output.LayerNorm",
  "layers.{i}.channel.input": "encoder.layer.{i}.intermediate.dense",
  "layers.{i}.channel.output": "encoder.layer.{i}.output.dense",
  "layers.{i}.channelNorm": "encoder.layer.{i}.output.LayerNorm",
};

/** Names of BERT's heads. */
export const bertHeadNames: NameRules = {
  pooler: "{base}pooler.dense",
  transform: "cls.predictions.transform.dense",
  transformNorm: "cls.predictions.transform.LayerNorm",
  "decoder.weight": "cls.predictions.decoder.weight",
  "decoder.bias": "cls.predictions.bias",
  nextSentence: "cls.seq_relationship",
  classifier: "classifier",
  span: "qa_outputs",
};

/** Names of {@link denseClassifier}'s matrices. */
export const denseClassifierNames: NameRules = { pooler: "classifier.dense", classifier: "classifier.out_proj" };

/** The first words of the names of BERT's encoder. */
export const bertEncoderParts = ["embeddings", "encoder", "pooler"];
