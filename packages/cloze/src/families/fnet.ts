// FNet (arXiv 2105.03824), as transformers has it: BERT with a Fourier transform in the place of attention.
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
  layersOf,
  size,
  writeBertFields,
} from "./bert-like.js";
import type { Family } from "./family.js";
import { labelFields } from "./labels.js";
import { commonAliases, type NameRules, namesByRules } from "./name-rules.js";

const schema = z.looseObject({
  ...bertFields,
  vocab_size: size.default(32000),
  hidden_act: z.string().default("gelu_new"),
  type_vocab_size: z.int().min(0).default(4),
  pad_token_id: z.int().min(0).nullable().default(3),
});

const encoderNames: NameRules = {
  ...bertEmbeddingNames,
  "embeddings.projection": "embeddings.projection",
  ...bertLayerNames,
  "layers.{i}.mixerNorm": "encoder.layer.{i}.fourier.output.LayerNorm",
};

export const fnet: Family = {
  modelType: "fnet",
  classPrefix: "FNet",
  fields: [...Object.keys(schema.shape), ...labelFields],
  readConfig(json) {
    const config = parseConfig(schema, json, "config.json");
    return {
      encoder: {
        ...bertEncoder(config),
        embeddings: { dropout: config.hidden_dropout_prob, projection: "after-norm" },
        layers: layersOf(config.num_hidden_layers, {
          mixer: { type: "fourier" },
          channel: {
            type: "mlp",
            intermediateSize: config.intermediate_size,
            activation: activationOf(config.hidden_act),
          },
          dropout: config.hidden_dropout_prob,
          mixerDropout: 0,
        }),
      },
      head: { ...bertHead(json, config), dropout: config.hidden_dropout_prob },
    };
  },
  writeConfig(encoder, head) {
    const { classifier_dropout: _, ...fields } = writeBertFields(encoder, head);
    return fields;
  },
  names: (encoder, head) => namesByRules(encoder, head, { base: "fnet", encoder: encoderNames, head: bertHeadNames }),
  // There is no mask: padding is mixed with the tokens of its sequence.
  paddingCounts: true,
  // Every class of transformers has the pooler, also where its head has no use for it.
  carries: /^(fnet\.)?pooler\./,
  aliases: commonAliases("fnet", bertEncoderParts),
};
