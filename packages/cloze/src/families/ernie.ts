// ERNIE 2.0 (arXiv 1907.12412), as transformers has it: BERT with, if wanted, a vector for the kind of task.
import { z } from "zod";
import { parseConfig } from "../encoder/registry.js";
import {
  bertEmbeddingNames,
  bertEncoder,
  bertEncoderParts,
  bertFields,
  bertHead,
  bertHeadNames,
  bertLayerNames,
  size,
  writeBertFields,
} from "./bert-like.js";
import type { Family } from "./family.js";
import { labelFields } from "./labels.js";
import { commonAliases, namesByRules } from "./name-rules.js";

const schema = z.looseObject({
  ...bertFields,
  use_task_id: z.boolean().default(false),
  task_type_vocab_size: size.default(3),
});
const aliases = commonAliases("ernie", bertEncoderParts);

export const ernie: Family = {
  modelType: "ernie",
  classPrefix: "Ernie",
  fields: [...Object.keys(schema.shape), ...labelFields],
  heads: {
    ForCausalLM: ({ tied, activation }) => ({
      type: "causal-language",
      tied,
      transform: { activation: activation ?? "gelu", norm: true },
    }),
  },
  readConfig(json) {
    const config = parseConfig(schema, json, "config.json");
    const taskVocabularySize = config.use_task_id ? config.task_type_vocab_size : 0;
    return {
      encoder: { ...bertEncoder(config), embeddings: { dropout: config.hidden_dropout_prob, taskVocabularySize } },
      head: bertHead(json, config),
    };
  },
  writeConfig(encoder, head) {
    const rows = "taskVocabularySize" in encoder.embeddings ? encoder.embeddings.taskVocabularySize : 0;
    return {
      ...writeBertFields(encoder, head),
      use_task_id: rows > 0,
      ...(rows > 0 ? { task_type_vocab_size: rows } : {}),
    };
  },
  names: (encoder, head) =>
    namesByRules(encoder, head, {
      base: "ernie",
      encoder: { ...bertEmbeddingNames, "embeddings.task": "embeddings.task_type_embeddings", ...bertLayerNames },
      head: bertHeadNames,
    }),
  aliases,
};
