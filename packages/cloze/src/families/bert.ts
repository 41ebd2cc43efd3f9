// BERT (arXiv 1810.04805), as transformers has it: `model_type` "bert".
import type { ActivationName } from "@cloze/tensor";
import { z } from "zod";
import type { EncoderConfig, LayerConfigInput } from "../encoder/config.js";
import { parseConfig } from "../encoder/registry.js";
import { ClozeError } from "../errors.js";
import type { HeadConfig } from "../heads/index.js";
import type { ConfigJson, Family } from "./family.js";
import { labelFields, readLabels, writeLabels } from "./labels.js";

const activations: Readonly<Record<string, ActivationName>> = {
  gelu: "gelu",
  gelu_python: "gelu",
  gelu_new: "geluTanh",
  gelu_pytorch_tanh: "geluTanh",
  relu: "relu",
  silu: "silu",
  swish: "silu",
  tanh: "tanh",
  linear: "none",
};

const size = z.int().min(1);
const rate = z.number().min(0).lt(1);
const schema = z.looseObject({
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
  position_embedding_type: z.string().nullish(),
  classifier_dropout: rate.nullish(),
  is_decoder: z.boolean().nullish(),
  add_cross_attention: z.boolean().nullish(),
  tie_word_embeddings: z.boolean().nullish(),
  cloze: z
    .looseObject({ sparse: z.boolean().optional(), residualInit: z.enum(["normal", "zero"]).optional() })
    .optional(),
});

const unsupported = (field: string, received: unknown, expected: string): ClozeError =>
  new ClozeError("CONFIG_UNSUPPORTED", `config.json: Cloze has no BERT with this ${field}`, {
    expected,
    received: JSON.stringify(received),
  });

/** The activation of a Hugging Face name. */
function activationOf(name: string): ActivationName {
  if (Object.hasOwn(activations, name)) return activations[name];
  throw unsupported("hidden_act", name, Object.keys(activations).join(", "));
}

const nameOfActivation = (activation: ActivationName): string =>
  Object.keys(activations).find((name) => activations[name] === activation) ?? "gelu";

/** The one layer that all layers are, or undefined where they differ or BERT has no such layer. */
function commonLayer({ layers, hiddenSize, embeddings }: EncoderConfig) {
  const [first] = layers;
  if (first === undefined || layers.some((layer) => JSON.stringify(layer) !== JSON.stringify(first))) return undefined;
  const { mixer, channel, dropout } = first;
  const stored = [...Object.values(mixer.weights ?? {}), ...Object.values(channel.weights ?? {})];
  const plain =
    mixer.type === "attention" &&
    channel.type === "mlp" &&
    mixer.bias &&
    channel.bias &&
    mixer.window === 0 &&
    mixer.heads * (mixer.headSize ?? hiddenSize / mixer.heads) === hiddenSize &&
    dropout === embeddings.dropout &&
    stored.every((weight) => weight === undefined || weight.type === "dense");
  return plain ? { mixer, channel, dropout } : undefined;
}

function writeConfig(encoder: EncoderConfig, head: HeadConfig): ConfigJson | undefined {
  const { embeddings } = encoder;
  const layer = commonLayer(encoder);
  const bert =
    encoder.normPosition === "post" &&
    embeddings.positions === "learned" &&
    embeddings.norm &&
    encoder.segmentVocabularySize > 0;
  if (layer === undefined || !bert) return undefined;
  const own = {
    ...(embeddings.sparse ? { sparse: true } : {}),
    ...(encoder.residualInit === "zero" ? { residualInit: "zero" } : {}),
  };
  return {
    vocab_size: encoder.vocabularySize,
    hidden_size: encoder.hiddenSize,
    num_hidden_layers: encoder.layers.length,
    num_attention_heads: layer.mixer.heads,
    intermediate_size: layer.channel.intermediateSize,
    hidden_act: nameOfActivation(layer.channel.activation),
    hidden_dropout_prob: layer.dropout,
    attention_probs_dropout_prob: layer.mixer.dropout,
    max_position_embeddings: encoder.maxPositions,
    type_vocab_size: encoder.segmentVocabularySize,
    initializer_range: encoder.initializerRange,
    layer_norm_eps: encoder.normEpsilon,
    pad_token_id: encoder.padId,
    is_decoder: layer.mixer.causal,
    ...("tied" in head ? { tie_word_embeddings: head.tied } : {}),
    ...("dropout" in head ? { classifier_dropout: head.dropout === layer.dropout ? null : head.dropout } : {}),
    ...writeLabels(head),
    ...(Object.keys(own).length > 0 ? { cloze: own } : {}),
  };
}

/** Parameters of a layer beside their names in the file. */
const layerNames: readonly (readonly [string, readonly string[]])[] = [
  ["mixer.queryKeyValue", ["attention.self.query", "attention.self.key", "attention.self.value"]],
  ["mixer.output", ["attention.output.dense"]],
  ["mixerNorm", ["attention.output.LayerNorm"]],
  ["channel.input", ["intermediate.dense"]],
  ["channel.output", ["output.dense"]],
  ["channelNorm", ["output.LayerNorm"]],
];

const headNames: Readonly<Record<string, string>> = {
  transform: "cls.predictions.transform.dense",
  transformNorm: "cls.predictions.transform.LayerNorm",
  nextSentence: "cls.seq_relationship",
  classifier: "classifier",
  span: "qa_outputs",
};

export const bert: Family = {
  modelType: "bert",
  classPrefix: "Bert",
  fields: [...Object.keys(schema.shape), ...labelFields],
  readConfig(json) {
    const config = parseConfig(schema, json, "config.json");
    if ((config.position_embedding_type ?? "absolute") !== "absolute") {
      throw unsupported("position_embedding_type", config.position_embedding_type, "absolute");
    }
    if (config.add_cross_attention) throw unsupported("add_cross_attention", true, "false");
    const activation = activationOf(config.hidden_act);
    const layer: LayerConfigInput = {
      mixer: {
        type: "attention",
        heads: config.num_attention_heads,
        dropout: config.attention_probs_dropout_prob,
        causal: config.is_decoder ?? false,
      },
      channel: { type: "mlp", intermediateSize: config.intermediate_size, activation },
      dropout: config.hidden_dropout_prob,
    };
    return {
      encoder: {
        vocabularySize: config.vocab_size,
        hiddenSize: config.hidden_size,
        maxPositions: config.max_position_embeddings,
        segmentVocabularySize: config.type_vocab_size,
        embeddings: { dropout: config.hidden_dropout_prob, sparse: config.cloze?.sparse },
        padId: config.pad_token_id,
        normEpsilon: config.layer_norm_eps,
        initializerRange: config.initializer_range,
        residualInit: config.cloze?.residualInit,
        layers: Array.from({ length: config.num_hidden_layers }, () => layer),
      },
      head: {
        ...readLabels(json),
        activation,
        tied: config.tie_word_embeddings ?? true,
        dropout: config.classifier_dropout ?? config.hidden_dropout_prob,
      },
    };
  },
  writeConfig,
  names({ layers }, head) {
    const base = head.type === "none" || head.type === "pooler" ? "" : "bert.";
    const names = new Map<string, readonly string[]>();
    const pair = (parameter: string, stored: readonly string[]) => {
      for (const kind of ["weight", "bias"])
        names.set(
          `${parameter}.${kind}`,
          stored.map((name) => `${name}.${kind}`),
        );
    };
    for (const [own, theirs] of [
      ["word", "word"],
      ["position", "position"],
      ["segment", "token_type"],
    ]) {
      names.set(`encoder.embeddings.${own}.weight`, [`${base}embeddings.${theirs}_embeddings.weight`]);
    }
    pair("encoder.embeddings.norm", [`${base}embeddings.LayerNorm`]);
    layers.forEach((_, i) => {
      for (const [own, theirs] of layerNames) {
        pair(
          `encoder.layers.${i}.${own}`,
          theirs.map((name) => `${base}encoder.layer.${i}.${name}`),
        );
      }
    });
    pair("head.pooler", [`${base}pooler.dense`]);
    for (const [own, theirs] of Object.entries(headNames)) pair(`head.${own}`, [theirs]);
    names.set("head.decoder.weight", ["cls.predictions.decoder.weight"]);
    names.set("head.decoder.bias", ["cls.predictions.bias"]);
    return names;
  },
  aliases(name) {
    // The encoder with and without its prefix, and norms as TensorFlow called them.
    const others = name.startsWith("bert.")
      ? [name.slice(5)]
      : /^(embeddings|encoder|pooler)\./.test(name)
        ? [`bert.${name}`]
        : [];
    if (name === "cls.predictions.bias") others.push("cls.predictions.decoder.bias");
    const old = [name, ...others]
      .filter((candidate) => /LayerNorm\.(weight|bias)$/.test(candidate))
      .map((candidate) => candidate.replace(/weight$/, "gamma").replace(/LayerNorm\.bias$/, "LayerNorm.beta"));
    return [...others, ...old];
  },
};
