// RoBERTa (arXiv 1907.11692) and the multilingual and French models of its form, as transformers has them.
import { z } from "zod";
import type { EncoderConfig } from "../encoder/config.js";
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
  denseClassifier,
  denseClassifierNames,
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
export const robertaClassifier = (fields: HeadFields) => denseClassifier({ ...fields, activation: "tanh" });

/** RoBERTa's positions count from the row behind padding's, which has a row of its own. */
export function robertaPositions(config: z.output<typeof schema>) {
  const positionOffset = config.pad_token_id + 1;
  return {
    maxPositions: config.max_position_embeddings - positionOffset,
    embeddings: { dropout: config.hidden_dropout_prob, positionOffset, paddingPosition: true },
  };
}

/** The field that {@link robertaPositions} reads. */
export const writeRobertaPositions = ({ maxPositions, embeddings }: EncoderConfig) => ({
  max_position_embeddings: maxPositions + ("positionOffset" in embeddings ? embeddings.positionOffset : 0),
});

/** Names of RoBERTa's heads; the sequence classifier has no pooler of the encoder. */
export const robertaHeadNames = ({ type }: HeadConfig): NameRules => ({
  transform: "lm_head.dense",
  transformNorm: "lm_head.layer_norm",
  "decoder.weight": "lm_head.decoder.weight",
  "decoder.bias": "lm_head.bias",
  span: "qa_outputs",
  ...(type === "sequence-classification"
    ? denseClassifierNames
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
    return {
      encoder: { ...bertEncoder(config), ...robertaPositions(config) },
      head: { ...bertHead(json, config), activation: "gelu" },
    };
  },
  writeConfig(encoder, head) {
    return { ...writeBertFields(encoder, head), ...writeRobertaPositions(encoder) };
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
