// DeBERTa (arXiv 2006.03654), as transformers has it: `model_type` "deberta".
import { contiguous, permute, reshape, type Shape, type Tensor } from "@cloze/tensor";
import { z } from "zod";
import type { EncoderConfig, LayerConfigInput } from "../encoder/config.js";
import { parseConfig } from "../encoder/registry.js";
import { bertLayer, bertLayerNames, size, unsupported } from "./bert-like.js";
import {
  attentionKinds,
  debertaAliases,
  debertaEmbeddingNames,
  debertaFields,
  debertaFrame,
  debertaHeadNames,
  maxDistanceOf,
  plainAttention,
  writeDebertaFields,
  writeKinds,
} from "./deberta-v2.js";
import type { Family } from "./family.js";
import { labelFields } from "./labels.js";
import { type NameRules, namesByRules } from "./name-rules.js";
import type { StoredLayout } from "./stored-layout.js";

const schema = z.looseObject({
  ...debertaFields,
  vocab_size: size.default(50265),
  talking_head: z.boolean().nullish(),
});

/** Query, key and value of each head, one head below the other, instead of all queries, all keys, all values. */
const byHead = (heads: number): StoredLayout => {
  const regroup = (x: Tensor, shape: Shape, outer: number, inner: number): Tensor =>
    reshape(
      contiguous(permute(reshape(contiguous(x), [outer, inner, shape[0] / 3 / heads, shape[1]]), [1, 0, 2, 3])),
      shape,
    );
  return {
    shapes: (shape) => [shape],
    read: ([stored], shape) => regroup(stored, shape, heads, 3),
    write: (value) => [regroup(value, value.shape, 3, heads)],
  };
};

function layerNames({ layers }: EncoderConfig): NameRules {
  const self = "encoder.layer.{i}.attention.self";
  const mixer = layers[0]?.mixer;
  const heads = mixer !== undefined && "heads" in mixer ? mixer.heads : 1;
  return {
    ...bertLayerNames,
    "layers.{i}.mixer.queryKeyValue.weight": { names: [`${self}.in_proj.weight`], layout: byHead(heads) },
    "layers.{i}.mixer.queryBias": `${self}.q_bias`,
    "layers.{i}.mixer.valueBias": `${self}.v_bias`,
    "layers.{i}.mixer.positionKey": `${self}.pos_proj`,
    "layers.{i}.mixer.positionQuery": `${self}.pos_q_proj`,
  };
}

export const deberta: Family = {
  modelType: "deberta",
  classPrefix: "Deberta",
  fields: [...Object.keys(schema.shape), ...labelFields],
  carries: /encoder\.rel_embeddings\.weight$/,
  heads: { Model: () => ({ type: "none" }) },
  readConfig(json) {
    const config = parseConfig(schema, json, "config.json");
    if (config.talking_head) throw unsupported("talking_head", true, "false");
    const kinds = attentionKinds(config);
    const relative = config.relative_attention && (kinds.contentToPosition || kinds.positionToContent);
    const mixer: LayerConfigInput["mixer"] = {
      type: "disentangled-attention",
      heads: config.num_attention_heads,
      dropout: config.attention_probs_dropout_prob,
      ...(relative ? { maxDistance: maxDistanceOf(config), ...kinds } : plainAttention(config)),
      positionKeyBias: false,
      distanceDropout: config.hidden_dropout_prob,
      bias: "query-value",
    };
    return debertaFrame(json, config, { ...bertLayer(config), mixer });
  },
  writeConfig: (encoder, head) => ({ ...writeDebertaFields(encoder, head), ...writeKinds(encoder) }),
  names: (encoder, head, json) =>
    namesByRules(encoder, head, {
      base: "deberta",
      encoder: { ...debertaEmbeddingNames, ...layerNames(encoder) },
      head: debertaHeadNames(json),
    }),
  aliases: debertaAliases,
};
