// ELECTRA (arXiv 2003.10555), as transformers has it: generator (ForMaskedLM) and discriminator (ForPreTraining).
import { z } from "zod";
import { parseConfig } from "../encoder/registry.js";
import type { HeadFields } from "./architectures.js";
import {
  bertEmbeddingNames,
  bertEncoder,
  bertFields,
  bertHead,
  bertLayerNames,
  denseClassifier,
  denseClassifierNames,
  size,
  writeBertFields,
} from "./bert-like.js";
import type { Family } from "./family.js";
import { labelFields } from "./labels.js";
import { commonAliases, type NameRules, namesByRules } from "./name-rules.js";
import { readSummary, summaryFields, writeSummary } from "./sequence-summary.js";

const schema = z.looseObject({
  ...bertFields,
  embedding_size: size.default(128),
  hidden_size: size.default(256),
  num_attention_heads: size.default(4),
  intermediate_size: size.default(1024),
  ...summaryFields,
});

/** What ElectraConfig has for a summary. */
const ownSummary = {
  summary_type: "first",
  summary_use_proj: true,
  summary_activation: "gelu",
  summary_last_dropout: 0.1,
} as const;

/** Names of ELECTRA's embeddings, which may be narrower than its layers. */
export const narrowEmbeddingNames: NameRules = {
  ...bertEmbeddingNames,
  "embeddings.projection": "embeddings_project",
};

/** Names of the generator's head. */
export const generatorNames: NameRules = {
  transform: "generator_predictions.dense",
  transformNorm: "generator_predictions.LayerNorm",
  decoder: "generator_lm_head",
};

/** Before the generator's decoder, whatever the activation of the layers. */
export const generatorTransform = { activation: "gelu" as const, norm: true };

const language = ({ tied }: HeadFields) => ({ tied, transform: generatorTransform });

export const electra: Family = {
  modelType: "electra",
  classPrefix: "Electra",
  fields: [...Object.keys(schema.shape), ...labelFields],
  heads: {
    Model: () => ({ type: "none" }),
    ForMaskedLM: (fields) => ({ type: "masked-language", ...language(fields) }),
    ForCausalLM: (fields) => ({ type: "causal-language", ...language(fields) }),
    ForPreTraining: ({ activation }) => ({ type: "replaced-token", activation }),
    ForSequenceClassification: (fields) => denseClassifier({ ...fields, activation: "gelu" }),
    ForMultipleChoice: ({ choiceDropout, pooling, pooler }) => ({
      type: "multiple-choice",
      dropout: choiceDropout,
      pooling,
      pooler: pooler === undefined ? { activation: "gelu" } : pooler,
    }),
  },
  readConfig(json) {
    const config = parseConfig(schema, json, "config.json");
    return {
      encoder: {
        ...bertEncoder(config),
        embeddings: { dropout: config.hidden_dropout_prob, size: config.embedding_size },
      },
      head: { ...bertHead(json, config), ...readSummary(config, ownSummary) },
    };
  },
  writeConfig(encoder, head) {
    const width = "size" in encoder.embeddings ? encoder.embeddings.size : undefined;
    return {
      ...writeBertFields(encoder, head),
      embedding_size: width ?? encoder.hiddenSize,
      ...writeSummary(head),
    };
  },
  names: (encoder, head) =>
    namesByRules(encoder, head, {
      base: "electra",
      encoder: { ...narrowEmbeddingNames, ...bertLayerNames },
      head: {
        ...(head.type === "replaced-token"
          ? {
              transform: "discriminator_predictions.dense",
              detector: "discriminator_predictions.dense_prediction",
            }
          : generatorNames),
        ...(head.type === "sequence-classification"
          ? denseClassifierNames
          : { pooler: "sequence_summary.summary", classifier: "classifier" }),
        span: "qa_outputs",
      },
    }),
  aliases: commonAliases("electra", ["embeddings", "embeddings_project", "encoder"]),
};
