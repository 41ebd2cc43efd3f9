// RoBERTa (arXiv 1907.11692) and the multilingual and French models of its form, as transformers has them.
import { z } from "zod";
import { parseConfig } from "../encoder/registry.js";
import type { HeadConfig } from "../heads/index.js";
import type { HeadFields } from "./architectures.js";
import {
  bertEmbeddingNames,
  bertEncoder,
  bertEncoderParts,
  bertFields,
  bertHead,
  bertLayerNames,
  size,
  writeBertFields,
} from "./bert-like.js";
import type { Family } from "./family.js";
import { labelFields } from "./labels.js";
import { commonAliases, type NameRules, namesByRules } from "./name-rules.js";

const schema = z.looseObject({
  ...bertFields,
  vocab_size: size.default(50265),
  pad_token_id: z.int().min(0).default(1),
});

const aliases = commonAliases("roberta", bertEncoderParts);

/** RoBERTa's classifier: dense and tanh, with dropout before both matrices. */
export const robertaClassifier = (fields: HeadFields) => ({
  type: "sequence-classification" as const,
  labels: fields.labels,
  names: fields.names,
  problem: fields.problem,
  dropout: fields.dropout,
  pooler: { activation: "tanh" as const, dropout: fields.dropout },
});

/** Names of RoBERTa's heads; the sequence classifier has no pooler of the encoder. */
export const robertaHeadNames = ({ type }: HeadConfig): NameRules => ({
  transform: "lm_head.dense",
  transformNorm: "lm_head.layer_norm",
  "decoder.weight": "lm_head.decoder.weight",
  "decoder.bias": "lm_head.bias",
  span: "qa_outputs",
  ...(type === "sequence-classification"
    ? { pooler: "classifier.dense", classifier: "classifier.out_proj" }
    : { pooler: "{base}pooler.dense", classifier: "classifier" }),
});

/** A model type of RoBERTa's form. Positions count from the row behind padding's. */
const robertaLike = (modelType: string, classPrefix: string): Family => ({
  modelType,
  classPrefix,
  fields: [...Object.keys(schema.shape), ...labelFields],
  heads: {
    ForSequenceClassification: robertaClassifier,
    ForCausalLM: ({ tied }) => ({
      type: "causal-language",
      tied,
      transform: { activation: "gelu", norm: true },
    }),
  },
  readConfig(json) {
    const config = parseConfig(schema, json, "config.json");
    const encoder = bertEncoder(config);
    const positionOffset = config.pad_token_id + 1;
    return {
      encoder: {
        ...encoder,
        maxPositions: config.max_position_embeddings - positionOffset,
        embeddings: { dropout: config.hidden_dropout_prob, positionOffset, paddingPosition: true },
      },
      head: { ...bertHead(json, config), activation: "gelu" },
    };
  },
  writeConfig(encoder, head) {
    const offset = "positionOffset" in encoder.embeddings ? encoder.embeddings.positionOffset : 0;
    return { ...writeBertFields(encoder, head), max_position_embeddings: encoder.maxPositions + offset };
  },
  names: (encoder, head) =>
    namesByRules(encoder, head, {
      base: "roberta",
      encoder: { ...bertEmbeddingNames, ...bertLayerNames },
      head: robertaHeadNames(head),
    }),
  aliases,
});

export const roberta = robertaLike("roberta", "Roberta");
export const xlmRoberta = robertaLike("xlm-roberta", "XLMRoberta");
export const camembert = robertaLike("camembert", "Camembert");
