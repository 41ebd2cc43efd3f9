// ALBERT (arXiv 1909.11942), as transformers has it: narrow embeddings, and layers that share their parameters.
import { z } from "zod";
import type { EncoderConfig, LayerConfigInput } from "../encoder/config.js";
import { parseConfig } from "../encoder/registry.js";
import {
  bertEmbeddingNames,
  bertEncoder,
  bertFields,
  bertHead,
  bertLayer,
  layersOf,
  rate,
  size,
  writeBertFields,
} from "./bert-like.js";
import type { ConfigJson, Family } from "./family.js";
import { labelFields } from "./labels.js";
import { commonAliases, type NameRules, namesByRules } from "./name-rules.js";

const schema = z.looseObject({
  ...bertFields,
  vocab_size: size.default(30000),
  embedding_size: size.default(128),
  hidden_size: size.default(4096),
  num_hidden_groups: size.default(1),
  num_attention_heads: size.default(64),
  intermediate_size: size.default(16384),
  inner_group_num: size.default(1),
  hidden_act: z.string().default("gelu_new"),
  hidden_dropout_prob: rate.default(0),
  attention_probs_dropout_prob: rate.default(0),
  classifier_dropout_prob: rate.nullish(),
});
type Config = z.output<typeof schema>;

/** The layers in the order in which they run; the first of each kind has the parameters. */
function sharedLayers(config: Config): LayerConfigInput[] {
  const { num_hidden_layers: count, num_hidden_groups: groups, inner_group_num: inner } = config;
  const first = new Map<number, number>();
  return layersOf(count * inner, bertLayer(config)).map((layer, index) => {
    const turn = Math.floor(index / inner);
    const kind = Math.floor(turn / (count / groups)) * inner + (index % inner);
    const owner = first.get(kind);
    if (owner === undefined) first.set(kind, index);
    return owner === undefined ? layer : { ...layer, sharedWith: owner };
  });
}

/** How layers are shared: groups, and layers inside a group. */
function sharing({ layers }: EncoderConfig): { groups: number; inner: number } {
  const owners = layers.filter(({ sharedWith }) => sharedWith === undefined).length;
  const again = layers.findIndex(({ sharedWith }) => sharedWith === 0);
  const inner = again > 0 && owners % again === 0 ? again : 1;
  return { groups: owners / inner, inner };
}

function layerNames(encoder: EncoderConfig, json: ConfigJson = {}): NameRules {
  const { inner: told } = sharing(encoder);
  const alone = encoder.layers.every(({ sharedWith }) => sharedWith === undefined);
  // Where nothing is shared, only the config says how layers are grouped, and names depend on it.
  const named = Number(json.inner_group_num ?? told);
  const inner = alone && encoder.layers.length % named === 0 ? named : told;
  const owners = encoder.layers.flatMap(({ sharedWith }, index) => (sharedWith === undefined ? [index] : []));
  const rules = owners.map((layer, kind): NameRules => {
    const at = `encoder.albert_layer_groups.${Math.floor(kind / inner)}.albert_layers.${kind % inner}`;
    return {
      [`layers.${layer}.mixer.queryKeyValue`]: ["query", "key", "value"].map((name) => `${at}.attention.${name}`),
      [`layers.${layer}.mixer.output`]: `${at}.attention.dense`,
      [`layers.${layer}.mixerNorm`]: `${at}.attention.LayerNorm`,
      [`layers.${layer}.channel.input`]: `${at}.ffn`,
      [`layers.${layer}.channel.output`]: `${at}.ffn_output`,
      [`layers.${layer}.channelNorm`]: `${at}.full_layer_layer_norm`,
    };
  });
  return Object.assign({}, ...rules) as NameRules;
}

const headNames: NameRules = {
  pooler: "{base}pooler",
  transform: "predictions.dense",
  transformNorm: "predictions.LayerNorm",
  "decoder.weight": "predictions.decoder.weight",
  "decoder.bias": "predictions.bias",
  nextSentence: "sop_classifier.classifier",
  classifier: "classifier",
  span: "qa_outputs",
};
const aliases = commonAliases("albert", ["embeddings", "encoder", "pooler"]);

export const albert: Family = {
  modelType: "albert",
  classPrefix: "Albert",
  fields: [...Object.keys(schema.shape), ...labelFields],
  heads: {
    ForPreTraining: ({ tied, activation, dropout }) => ({
      type: "pretraining",
      tied,
      transform: { activation, norm: true },
      nextSentenceDropout: dropout,
    }),
  },
  readConfig(json) {
    const config = parseConfig(schema, json, "config.json");
    return {
      encoder: {
        ...bertEncoder(config),
        embeddings: {
          dropout: config.hidden_dropout_prob,
          size: config.embedding_size,
          projection: "after-dropout",
        },
        layers: sharedLayers(config),
      },
      head: { ...bertHead(json, config), dropout: config.classifier_dropout_prob ?? 0.1 },
    };
  },
  writeConfig(encoder, head) {
    const { classifier_dropout: _, ...fields } = writeBertFields(encoder, head);
    const { groups, inner } = sharing(encoder);
    const width = "size" in encoder.embeddings ? encoder.embeddings.size : undefined;
    return {
      ...fields,
      num_hidden_layers: encoder.layers.length / inner,
      num_hidden_groups: groups,
      inner_group_num: inner,
      embedding_size: width ?? encoder.hiddenSize,
      ...("dropout" in head && head.type !== "question-answering" ? { classifier_dropout_prob: head.dropout } : {}),
    };
  },
  names: (encoder, head, json) =>
    namesByRules(encoder, head, {
      base: "albert",
      encoder: {
        ...bertEmbeddingNames,
        "embeddings.projection": "encoder.embedding_hidden_mapping_in",
        ...layerNames(encoder, json),
      },
      head: headNames,
    }),
  aliases,
};
