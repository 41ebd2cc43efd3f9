// Nyströmformer (arXiv 2102.03902), as transformers has it: attention through landmarks, and a convolution of the values.
import { z } from "zod";
import { parseConfig } from "../encoder/registry.js";
import {
  activationOf,
  bertEmbeddingNames,
  bertEncoder,
  bertEncoderParts,
  bertFields,
  bertHead,
  bertHeadNames,
  bertLayerNames,
  denseClassifier,
  denseClassifierNames,
  layersOf,
  size,
  writeBertFields,
} from "./bert-like.js";
import type { Family } from "./family.js";
import { labelFields } from "./labels.js";
import { commonAliases, namesByRules } from "./name-rules.js";
import { reshaped } from "./stored-layout.js";

const schema = z.looseObject({
  ...bertFields,
  vocab_size: size.default(30000),
  hidden_act: z.string().default("gelu_new"),
  max_position_embeddings: size.default(510),
  layer_norm_eps: z.number().positive().default(1e-5),
  pad_token_id: z.int().min(0).nullable().default(1),
  segment_means_seq_len: size.default(64),
  num_landmarks: size.default(64),
  conv_kernel_size: size.nullable().default(65),
  inv_coeff_init_option: z.boolean().default(false),
});

/** Positions stand behind two rows that nothing uses. */
const positionOffset = 2;

export const nystromformer: Family = {
  modelType: "nystromformer",
  classPrefix: "Nystromformer",
  fields: [...Object.keys(schema.shape), ...labelFields],
  paddingCounts: true,
  heads: {
    Model: () => ({ type: "none" }),
    ForSequenceClassification: denseClassifier,
    ForMultipleChoice: () => ({ type: "multiple-choice", dropout: 0, pooler: { activation: "relu" } }),
  },
  readConfig(json) {
    const config = parseConfig(schema, json, "config.json");
    const { num_landmarks: landmarks, hidden_dropout_prob: dropout } = config;
    return {
      encoder: {
        ...bertEncoder(config),
        embeddings: { dropout, positionOffset },
        layers: layersOf(config.num_hidden_layers, {
          mixer: {
            type: "nystrom",
            heads: config.num_attention_heads,
            landmarks: landmarks === config.segment_means_seq_len ? null : landmarks,
            start: config.inv_coeff_init_option ? "head" : "batch",
            kernelSize: config.conv_kernel_size,
          },
          channel: {
            type: "mlp",
            intermediateSize: config.intermediate_size,
            activation: activationOf(config.hidden_act),
          },
          dropout,
        }),
      },
      head: { ...bertHead(json, config), dropout },
    };
  },
  writeConfig(encoder, head) {
    const { mixer } = encoder.layers[0] ?? {};
    if (mixer !== undefined && mixer.type !== "nystrom") return undefined;
    const { classifier_dropout: _, ...fields } = writeBertFields(encoder, head);
    if (mixer === undefined) return fields;
    const { landmarks, kernelSize, start } = mixer;
    // Of the lengths that the landmarks divide, the longest one; transformers takes no other.
    const segments = landmarks === null ? 1 : Math.max(2, Math.floor(encoder.maxPositions / landmarks));
    return {
      ...fields,
      num_landmarks: landmarks ?? encoder.maxPositions,
      segment_means_seq_len: segments * (landmarks ?? encoder.maxPositions),
      conv_kernel_size: kernelSize,
      inv_coeff_init_option: start === "head",
    };
  },
  names: (encoder, head) =>
    namesByRules(encoder, head, {
      base: "nystromformer",
      encoder: {
        ...bertEmbeddingNames,
        ...bertLayerNames,
        "layers.{i}.mixer.kernels": {
          names: ["encoder.layer.{i}.attention.self.conv.weight"],
          layout: reshaped(([heads, taps]) => [heads, 1, taps, 1]),
        },
      },
      head: {
        ...bertHeadNames,
        ...(head.type === "sequence-classification" ? denseClassifierNames : { pooler: "pre_classifier" }),
      },
    }),
  aliases: commonAliases("nystromformer", bertEncoderParts),
};
