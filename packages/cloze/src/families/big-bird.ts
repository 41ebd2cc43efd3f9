// BigBird (arXiv 2007.14062), as transformers has it: `model_type` "big_bird".
import { z } from "zod";
import { parseConfig } from "../encoder/registry.js";
import type { HeadConfig } from "../heads/index.js";
import type { HeadFields } from "./architectures.js";
import {
  activationOf,
  bertEmbeddingNames,
  bertEncoder,
  bertEncoderParts,
  bertFields,
  bertHead,
  bertHeadNames,
  bertLayer,
  bertLayerNames,
  denseClassifier,
  denseClassifierNames,
  rate,
  size,
  unsupported,
  writeBertFields,
} from "./bert-like.js";
import type { Family } from "./family.js";
import { labelFields } from "./labels.js";
import { commonAliases, type NameRules, namesByRules } from "./name-rules.js";

const schema = z.looseObject({
  ...bertFields,
  vocab_size: size.default(50358),
  hidden_act: z.string().default("gelu_new"),
  max_position_embeddings: size.default(4096),
  classifier_dropout: rate.nullish(),
  sep_token_id: z.int().min(0).nullish(),
  attention_type: z.enum(["block_sparse", "original_full"]).default("block_sparse"),
  use_bias: z.boolean().default(true),
  rescale_embeddings: z.boolean().default(false),
  block_size: size.default(64),
  num_random_blocks: z.int().min(0).default(3),
});
type Fields = z.output<typeof schema>;

/** The attention of layer `seed`. @throws CONFIG_UNSUPPORTED */
function mixerOf(config: Fields, seed: number) {
  const { num_attention_heads: heads, attention_probs_dropout_prob: dropout, use_bias } = config;
  const common = { heads, dropout, ...(use_bias ? {} : { bias: false, outputBias: true }) };
  if (config.attention_type === "original_full") {
    return { type: "attention" as const, ...common, causal: config.is_decoder ?? false };
  }
  if (config.is_decoder) throw unsupported("attention_type", config.attention_type, "original_full for a decoder");
  return {
    type: "block-sparse-attention" as const,
    ...common,
    blockSize: config.block_size,
    randomBlocks: config.num_random_blocks,
    seed,
  };
}

const headNames = ({ type }: HeadConfig): NameRules => ({
  ...bertHeadNames,
  intermediate: "qa_classifier.intermediate.dense",
  output: "qa_classifier.output.dense",
  outputNorm: "qa_classifier.output.LayerNorm",
  span: "qa_classifier.qa_outputs",
  ...(type === "sequence-classification" ? denseClassifierNames : { pooler: "{base}pooler" }),
});

const wordScaleOf = (rescales: boolean, width: number): number => (rescales ? Math.sqrt(width) : 1);

export const bigBird: Family = {
  modelType: "big_bird",
  classPrefix: "BigBird",
  fields: [...Object.keys(schema.shape), ...labelFields],
  heads: {
    ForCausalLM: ({ tied, activation }: HeadFields) => ({
      type: "causal-language",
      tied,
      transform: { activation, norm: true },
    }),
    ForSequenceClassification: denseClassifier,
    ForQuestionAnswering: ({ answerDropout, answerFeedForward, separatorId }) => ({
      type: "question-answering",
      dropout: answerDropout,
      feedForward: answerFeedForward,
      separatorId,
      maskQuestion: true,
    }),
  },
  readConfig(json) {
    const config = parseConfig(schema, json, "config.json");
    const { channel, dropout } = bertLayer(config);
    return {
      encoder: {
        ...bertEncoder(config),
        embeddings: {
          dropout: config.hidden_dropout_prob,
          wordScale: wordScaleOf(config.rescale_embeddings, config.hidden_size),
        },
        layers: Array.from({ length: config.num_hidden_layers }, (_, i) => ({
          mixer: mixerOf(config, i),
          channel,
          dropout,
        })),
      },
      head: {
        ...bertHead(json, config),
        answerDropout: config.hidden_dropout_prob,
        separatorId: config.sep_token_id ?? undefined,
        answerFeedForward: {
          intermediateSize: config.intermediate_size,
          activation: activationOf(config.hidden_act),
        },
      },
    };
  },
  writeConfig(encoder, head) {
    const mixer = encoder.layers[0]?.mixer;
    const sparse = mixer?.type === "block-sparse-attention";
    const { embeddings, hiddenSize } = encoder;
    return {
      ...writeBertFields(encoder, head),
      is_decoder: mixer?.type === "attention" && mixer.causal,
      attention_type: sparse || mixer === undefined ? "block_sparse" : "original_full",
      ...(sparse ? { block_size: mixer.blockSize, num_random_blocks: mixer.randomBlocks } : {}),
      use_bias: mixer === undefined || !("bias" in mixer) || mixer.bias,
      rescale_embeddings: "wordScale" in embeddings && embeddings.wordScale === wordScaleOf(true, hiddenSize),
      ...("separatorId" in head ? { sep_token_id: head.separatorId ?? null } : {}),
    };
  },
  names: (encoder, head) =>
    namesByRules(encoder, head, {
      base: "bert",
      encoder: { ...bertEmbeddingNames, ...bertLayerNames },
      head: headNames(head),
    }),
  // Every class but that for answers has a pooler, used or not.
  carries: /(^|\.)pooler\.(weight|bias)$/,
  aliases: commonAliases("bert", bertEncoderParts),
};
