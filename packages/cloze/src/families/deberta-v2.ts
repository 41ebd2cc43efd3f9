// DeBERTa 2 and 3 (arXiv 2006.03654, 2111.09543), as transformers has them: `model_type` "deberta-v2".
import { z } from "zod";
import type { EncoderConfig, LayerConfigInput } from "../encoder/config.js";
import { parseConfig } from "../encoder/registry.js";
import type { HeadConfig } from "../heads/index.js";
import type { HeadFields } from "./architectures.js";
import {
  activationOf,
  bertEncoder,
  bertFields,
  bertHead,
  bertHeadNames,
  bertLayer,
  bertLayerNames,
  layerDropout,
  layersOf,
  nameOfActivation,
  rate,
  size,
  unsupported,
  writeBertFields,
} from "./bert-like.js";
import type { ConfigJson, Family } from "./family.js";
import { labelFields } from "./labels.js";
import { commonAliases, type NameRules, namesByRules } from "./name-rules.js";

/** Fields that both versions have. */
export const debertaFields = {
  ...bertFields,
  type_vocab_size: z.int().min(0).default(0),
  layer_norm_eps: z.number().positive().default(1e-7),
  embedding_size: size.nullish(),
  relative_attention: z.boolean().default(false),
  max_relative_positions: z.int().default(-1),
  pos_att_type: z.union([z.string(), z.array(z.string())]).nullish(),
  position_biased_input: z.boolean().default(true),
  pooler_dropout: rate.default(0),
  pooler_hidden_act: z.string().default("gelu"),
  pooler_hidden_size: size.nullish(),
  cls_dropout: rate.nullish(),
};
export type DebertaFields = z.output<ReturnType<typeof z.looseObject<typeof debertaFields>>>;

/** "p2c|c2p" or a list. */
export function attentionKinds({ pos_att_type }: DebertaFields): {
  contentToPosition: boolean;
  positionToContent: boolean;
} {
  const kinds = typeof pos_att_type === "string" ? pos_att_type.split("|") : (pos_att_type ?? []);
  const named = kinds.map((kind) => kind.trim().toLowerCase());
  const unknown = named.find((kind) => kind !== "c2p" && kind !== "p2c" && kind !== "");
  if (unknown !== undefined) throw unsupported("pos_att_type", unknown, "c2p, p2c");
  return { contentToPosition: named.includes("c2p"), positionToContent: named.includes("p2c") };
}

/** The longest distance that is told apart. */
export const maxDistanceOf = ({ max_relative_positions, max_position_embeddings }: DebertaFields): number =>
  max_relative_positions < 1 ? max_position_embeddings : max_relative_positions;

/** The encoder around the layers, and the heads' fields. @throws CONFIG_UNSUPPORTED */
export function debertaFrame(json: ConfigJson, config: DebertaFields, layer: LayerConfigInput) {
  if (config.pooler_hidden_size !== undefined && config.pooler_hidden_size !== null) {
    if (config.pooler_hidden_size !== config.hidden_size)
      throw unsupported("pooler_hidden_size", config.pooler_hidden_size, String(config.hidden_size));
  }
  const width = config.embedding_size ?? config.hidden_size;
  const head: HeadFields = {
    ...bertHead(json, config),
    dropout: config.cls_dropout ?? config.hidden_dropout_prob,
    tokenDropout: config.hidden_dropout_prob,
    pooler: { activation: activationOf(config.pooler_hidden_act, "pooler_hidden_act"), dropout: config.pooler_dropout },
  };
  return {
    encoder: {
      ...bertEncoder(config),
      embeddings: {
        positions: config.position_biased_input ? ("learned" as const) : ("none" as const),
        zeroPadding: true,
        dropout: config.hidden_dropout_prob,
        ...(width === config.hidden_size
          ? {}
          : { size: width, projection: "before-norm" as const, projectionBias: false }),
      },
      layers: layersOf(config.num_hidden_layers, layer),
    },
    head,
  };
}

/** The fields of a DeBERTa, apart from what only one version has. */
export function writeDebertaFields(encoder: EncoderConfig, head: HeadConfig): ConfigJson {
  const { is_decoder: _, classifier_dropout: _dropout, ...fields } = writeBertFields(encoder, head);
  const { embeddings } = encoder;
  const mixer = encoder.layers[0]?.mixer;
  const pooler = "pooler" in head ? head.pooler : null;
  const dropout = layerDropout(encoder);
  return {
    ...fields,
    position_biased_input: "positions" in embeddings && embeddings.positions === "learned",
    ...("size" in embeddings && embeddings.size !== undefined ? { embedding_size: embeddings.size } : {}),
    ...(mixer?.type === "disentangled-attention"
      ? {
          relative_attention: true,
          max_relative_positions: mixer.maxDistance === encoder.maxPositions ? -1 : mixer.maxDistance,
        }
      : { relative_attention: false }),
    ...(pooler === null
      ? {}
      : { pooler_hidden_act: nameOfActivation(pooler.activation), pooler_dropout: pooler.dropout }),
    ...("pooler" in head && "dropout" in head && head.dropout !== dropout ? { cls_dropout: head.dropout } : {}),
  };
}

/** The kinds of attention as a list, in the order that the source had. */
export function writeKinds(encoder: EncoderConfig): ConfigJson {
  const mixer = encoder.layers[0]?.mixer;
  if (mixer?.type !== "disentangled-attention") return {};
  return {
    pos_att_type: [...(mixer.positionToContent ? ["p2c"] : []), ...(mixer.contentToPosition ? ["c2p"] : [])],
  };
}

/** Names of the embeddings. */
export const debertaEmbeddingNames: NameRules = {
  "embeddings.word": "embeddings.word_embeddings",
  "embeddings.position": "embeddings.position_embeddings",
  "embeddings.segment": "embeddings.token_type_embeddings",
  "embeddings.norm": "embeddings.LayerNorm",
  "embeddings.projection": "embeddings.embed_proj",
  "shared.distances": "encoder.rel_embeddings",
};

/** Names of the heads; the pooler belongs to the class, not to the encoder. */
export const debertaHeadNames: NameRules = { ...bertHeadNames, pooler: "pooler.dense" };

/** Other names of a tensor: newer language heads are called otherwise. */
export const debertaAliases = (() => {
  const common = commonAliases("deberta", ["embeddings", "encoder"]);
  const newer: readonly (readonly [string, string])[] = [
    ["cls.predictions.transform.dense", "lm_predictions.lm_head.dense"],
    ["cls.predictions.transform.LayerNorm", "lm_predictions.lm_head.LayerNorm"],
    ["cls.predictions.bias", "lm_predictions.lm_head.bias"],
  ];
  return (name: string): string[] => [
    ...common(name),
    ...newer.flatMap(([older, other]) => (name.startsWith(older) ? [name.replace(older, other)] : [])),
    ...(name === "cls.predictions.bias" ? ["cls.predictions.decoder.bias"] : []),
  ];
})();

const schema = z.looseObject({
  ...debertaFields,
  vocab_size: size.default(128100),
  hidden_size: size.default(1536),
  num_hidden_layers: z.int().min(0).default(24),
  num_attention_heads: size.default(24),
  intermediate_size: size.default(6144),
  position_buckets: z.int().default(-1),
  share_att_key: z.boolean().default(false),
  norm_rel_ebd: z.string().nullish(),
  conv_kernel_size: z.int().nullish(),
});

const layerNames: NameRules = {
  ...bertLayerNames,
  "layers.{i}.mixer.queryKeyValue": ["query_proj", "key_proj", "value_proj"].map(
    (name) => `encoder.layer.{i}.attention.self.${name}`,
  ),
  "layers.{i}.mixer.positionKey": "encoder.layer.{i}.attention.self.pos_key_proj",
  "layers.{i}.mixer.positionQuery": "encoder.layer.{i}.attention.self.pos_query_proj",
  "shared.distancesNorm": "encoder.LayerNorm",
};

export const debertaV2: Family = {
  modelType: "deberta-v2",
  classPrefix: "DebertaV2",
  fields: [...Object.keys(schema.shape), ...labelFields],
  carries: /encoder\.LayerNorm\.(weight|bias)$/,
  heads: { Model: () => ({ type: "none" }) },
  readConfig(json) {
    const config = parseConfig(schema, json, "config.json");
    if ((config.conv_kernel_size ?? 0) > 0) throw unsupported("conv_kernel_size", config.conv_kernel_size, "0");
    const layer = bertLayer(config);
    const mixer: LayerConfigInput["mixer"] = config.relative_attention
      ? {
          type: "disentangled-attention",
          heads: config.num_attention_heads,
          dropout: config.attention_probs_dropout_prob,
          maxDistance: maxDistanceOf(config),
          buckets: Math.max(0, config.position_buckets),
          ...attentionKinds(config),
          shareMatrices: config.share_att_key,
          normalizeDistances: (config.norm_rel_ebd ?? "none").toLowerCase().includes("layer_norm"),
          distanceDropout: config.hidden_dropout_prob,
        }
      : layer.mixer;
    return debertaFrame(json, config, { ...layer, mixer });
  },
  writeConfig(encoder, head) {
    const mixer = encoder.layers[0]?.mixer;
    return {
      ...writeDebertaFields(encoder, head),
      ...writeKinds(encoder),
      ...(mixer?.type === "disentangled-attention"
        ? {
            position_buckets: mixer.buckets > 0 ? mixer.buckets : -1,
            share_att_key: mixer.shareMatrices,
            norm_rel_ebd: mixer.normalizeDistances ? "layer_norm" : "none",
          }
        : {}),
    };
  },
  names: (encoder, head) =>
    namesByRules(encoder, head, {
      base: "deberta",
      encoder: { ...debertaEmbeddingNames, ...layerNames },
      head: debertaHeadNames,
    }),
  aliases: debertaAliases,
};
