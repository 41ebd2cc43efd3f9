// MPNet (arXiv 2004.09297), as transformers has it: RoBERTa's form, with a bias by distance in every layer.
import { z } from "zod";
import { parseConfig } from "../encoder/registry.js";
import type { HeadConfig } from "../heads/index.js";
import {
  bertEmbeddingNames,
  bertEncoder,
  bertEncoderParts,
  bertFields,
  bertHead,
  bertLayer,
  bertLayerNames,
  layersOf,
  size,
  writeBertFields,
} from "./bert-like.js";
import type { Family } from "./family.js";
import { labelFields } from "./labels.js";
import { commonAliases, type NameRules, namesByRules } from "./name-rules.js";
import { robertaClassifier, robertaHeadNames, robertaPositions, writeRobertaPositions } from "./roberta.js";

/** What transformers uses, however many rows the table has. */
const buckets = 32;
/** The id of padding for the tables of words and positions, whatever the config says. */
const paddingId = 1;
const schema = z.looseObject({
  ...bertFields,
  vocab_size: size.default(30527),
  pad_token_id: z.int().min(0).default(1),
  relative_attention_num_buckets: z.int().min(buckets).default(buckets),
});

const encoderNames: NameRules = {
  ...bertEmbeddingNames,
  ...bertLayerNames,
  "layers.{i}.mixer.queryKeyValue": ["q", "k", "v"].map((name) => `encoder.layer.{i}.attention.attn.${name}`),
  "layers.{i}.mixer.output": "encoder.layer.{i}.attention.attn.o",
  "layers.{i}.mixerNorm": "encoder.layer.{i}.attention.LayerNorm",
  "shared.distanceBias": "encoder.relative_attention_bias",
};
const headNames = (head: HeadConfig): NameRules => robertaHeadNames(head);
const aliases = commonAliases("mpnet", bertEncoderParts);

export const mpnet: Family = {
  modelType: "mpnet",
  classPrefix: "MPNet",
  fields: [...Object.keys(schema.shape), ...labelFields],
  heads: { ForSequenceClassification: robertaClassifier },
  readConfig(json) {
    const config = parseConfig(schema, json, "config.json");
    const { channel, dropout } = bertLayer(config);
    return {
      encoder: {
        ...bertEncoder(config),
        ...robertaPositions({ ...config, pad_token_id: paddingId }),
        padId: paddingId,
        segmentVocabularySize: 0,
        layers: layersOf(config.num_hidden_layers, {
          mixer: {
            type: "relative-bias-attention",
            heads: config.num_attention_heads,
            dropout: config.attention_probs_dropout_prob,
            buckets,
            ...(config.relative_attention_num_buckets === buckets
              ? {}
              : { rows: config.relative_attention_num_buckets }),
          },
          channel,
          dropout,
        }),
      },
      head: { ...bertHead(json, config), dropout: config.hidden_dropout_prob, activation: "gelu" },
    };
  },
  writeConfig(encoder, head) {
    const {
      type_vocab_size: _,
      is_decoder: _decoder,
      classifier_dropout: _dropout,
      ...fields
    } = writeBertFields(encoder, head);
    const mixer = encoder.layers[0]?.mixer;
    return {
      ...fields,
      ...writeRobertaPositions(encoder),
      ...(mixer?.type === "relative-bias-attention"
        ? { relative_attention_num_buckets: mixer.rows ?? mixer.buckets }
        : {}),
    };
  },
  names: (encoder, head) =>
    namesByRules(encoder, head, { base: "mpnet", encoder: encoderNames, head: headNames(head) }),
  aliases: (name) => [...aliases(name), ...(name === "lm_head.bias" ? ["lm_head.decoder.bias"] : [])],
};
