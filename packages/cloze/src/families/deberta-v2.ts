// DeBERTa 2 and 3 (arXiv 2006.03654, 2111.09543), as transformers has them: `model_type` "deberta-v2".
import { contiguous, permute, reshape } from "@cloze/tensor";
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
import type { StoredLayout } from "./stored-layout.js";

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
  legacy: z.boolean().default(true),
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

/** What the mixer of a model without relative attention has: the kinds that are named count in the scale all the same. */
export function plainAttention(config: DebertaFields) {
  const { contentToPosition, positionToContent } = attentionKinds(config);
  const kinds = 1 + Number(contentToPosition) + Number(positionToContent);
  return {
    maxDistance: config.max_position_embeddings,
    contentToPosition: false,
    positionToContent: false,
    ...(kinds > 1 ? { scaleFactor: kinds } : {}),
  };
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
    // The newer head has no other matrix than that of the words.
    ...(config.legacy ? {} : { tied: true }),
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
  const relative = mixer?.type === "disentangled-attention" && (mixer.contentToPosition || mixer.positionToContent);
  const pooler = "pooler" in head ? head.pooler : null;
  const dropout = layerDropout(encoder);
  return {
    ...fields,
    position_biased_input: "positions" in embeddings && embeddings.positions === "learned",
    ...("size" in embeddings && embeddings.size !== undefined ? { embedding_size: embeddings.size } : {}),
    relative_attention: relative,
    ...(relative
      ? { max_relative_positions: mixer.maxDistance === encoder.maxPositions ? -1 : mixer.maxDistance }
      : {}),
    ...(pooler === null
      ? {}
      : { pooler_hidden_act: nameOfActivation(pooler.activation), pooler_dropout: pooler.dropout }),
    ...("pooler" in head && "dropout" in head && head.dropout !== dropout ? { cls_dropout: head.dropout } : {}),
  };
}

/** The kinds of attention as a list. */
export function writeKinds(encoder: EncoderConfig): ConfigJson {
  const mixer = encoder.layers[0]?.mixer;
  if (mixer?.type !== "disentangled-attention") return {};
  const { positionToContent, contentToPosition, scaleFactor = 1 } = mixer;
  const plain = !positionToContent && !contentToPosition;
  return {
    pos_att_type: [
      ...(positionToContent || (plain && scaleFactor > 2) ? ["p2c"] : []),
      ...(contentToPosition || (plain && scaleFactor > 1) ? ["c2p"] : []),
    ],
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

/** Names of the heads; the pooler belongs to the class, not to the encoder. Newer language heads are called otherwise. */
export const debertaHeadNames = ({ legacy }: ConfigJson = {}): NameRules => ({
  ...bertHeadNames,
  pooler: "pooler.dense",
  ...(legacy === false
    ? {
        transform: "lm_predictions.lm_head.dense",
        transformNorm: "lm_predictions.lm_head.LayerNorm",
        "decoder.bias": "lm_predictions.lm_head.bias",
      }
    : {}),
});

/** Other names of a tensor. */
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
  conv_act: z.string().default("tanh"),
  conv_groups: z.int().default(1),
});
type Config = z.output<typeof schema>;

/** The convolution beside the first layer of large models. @throws CONFIG_UNSUPPORTED */
function convolutionOf(config: Config): LayerConfigInput["parallel"] {
  const { conv_kernel_size: width, conv_act, conv_groups } = config;
  if (width === undefined || width === null || width < 1) return undefined;
  if (width % 2 === 0) throw unsupported("conv_kernel_size", width, "an odd number");
  if (conv_groups !== 1) throw unsupported("conv_groups", conv_groups, "1");
  return {
    type: "convolution",
    kernels: [width],
    channels: config.hidden_size,
    projection: false,
    activation: activationOf(conv_act, "conv_act"),
    dropout: config.hidden_dropout_prob,
  };
}

/** Throws CONFIG_UNSUPPORTED where no distance is left for the logarithmic buckets: their formula then divides by 0. */
function checkBuckets(config: Config): void {
  const near = Math.floor(config.position_buckets / 2);
  if (config.position_buckets > 0 && maxDistanceOf(config) - 1 <= near) {
    throw unsupported("max_relative_positions", config.max_relative_positions, `more than ${near + 1}`);
  }
}

/** Taps, outputs and inputs of a kernel, stored as PyTorch has them: [outputs, inputs, taps]. */
const byTap = (taps: number): StoredLayout => ({
  shapes: ([rows, inputs]) => [[rows / taps, inputs, taps]],
  read: ([stored], shape) => reshape(contiguous(permute(stored, [2, 0, 1])), shape),
  write: (value) => [contiguous(permute(reshape(value, [taps, value.shape[0] / taps, value.shape[1]]), [1, 2, 0]))],
});

const layerNames = ({ layers }: EncoderConfig): NameRules => ({
  ...bertLayerNames,
  ...(layers[0]?.parallel?.type === "convolution"
    ? {
        "layers.0.parallel.kernels.weight": {
          names: ["encoder.conv.conv.weight"],
          layout: byTap(layers[0].parallel.kernels[0]),
        },
        "layers.0.parallel.bias": "encoder.conv.conv.bias",
        "layers.0.parallelNorm": "encoder.conv.LayerNorm",
      }
    : {}),
  "layers.{i}.mixer.queryKeyValue": ["query_proj", "key_proj", "value_proj"].map(
    (name) => `encoder.layer.{i}.attention.self.${name}`,
  ),
  "layers.{i}.mixer.positionKey": "encoder.layer.{i}.attention.self.pos_key_proj",
  "layers.{i}.mixer.positionQuery": "encoder.layer.{i}.attention.self.pos_query_proj",
  "shared.distancesNorm": "encoder.LayerNorm",
});

export const debertaV2: Family = {
  modelType: "deberta-v2",
  classPrefix: "DebertaV2",
  fields: [...Object.keys(schema.shape), ...labelFields],
  carries: /encoder\.(LayerNorm\.(weight|bias)|rel_embeddings\.weight)$/,
  heads: { Model: () => ({ type: "none" }) },
  readConfig(json) {
    const config = parseConfig(schema, json, "config.json");
    const kinds = attentionKinds(config);
    const relative = config.relative_attention && (kinds.contentToPosition || kinds.positionToContent);
    if (relative) checkBuckets(config);
    const mixer: LayerConfigInput["mixer"] = {
      type: "disentangled-attention",
      heads: config.num_attention_heads,
      dropout: config.attention_probs_dropout_prob,
      distanceDropout: config.hidden_dropout_prob,
      ...(relative
        ? {
            maxDistance: maxDistanceOf(config),
            buckets: Math.max(0, config.position_buckets),
            ...kinds,
            shareMatrices: config.share_att_key,
            normalizeDistances: (config.norm_rel_ebd ?? "none").toLowerCase().includes("layer_norm"),
          }
        : plainAttention(config)),
    };
    const { encoder, head } = debertaFrame(json, config, { ...bertLayer(config), mixer });
    const parallel = convolutionOf(config);
    const layers = encoder.layers.map((layer, i) =>
      i === 0 && parallel !== undefined ? { ...layer, parallel } : layer,
    );
    return { encoder: { ...encoder, layers }, head };
  },
  writeConfig(encoder, head) {
    const { mixer, parallel } = encoder.layers[0] ?? {};
    return {
      ...writeDebertaFields(encoder, head),
      ...writeKinds(encoder),
      ...(parallel?.type === "convolution"
        ? { conv_kernel_size: parallel.kernels[0], conv_act: nameOfActivation(parallel.activation) }
        : {}),
      ...(mixer?.type === "disentangled-attention"
        ? {
            position_buckets: mixer.buckets > 0 ? mixer.buckets : -1,
            share_att_key: mixer.shareMatrices,
            norm_rel_ebd: mixer.normalizeDistances ? "layer_norm" : "none",
          }
        : {}),
    };
  },
  names: (encoder, head, json) =>
    namesByRules(encoder, head, {
      base: "deberta",
      encoder: { ...debertaEmbeddingNames, ...layerNames(encoder) },
      head: debertaHeadNames(json),
    }),
  aliases: debertaAliases,
};
