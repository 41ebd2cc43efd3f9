// Longformer (arXiv 2004.05150), as transformers has it: RoBERTa's form with windows and global tokens.
import { z } from "zod";
import { parseConfig } from "../encoder/registry.js";
import {
  bertEmbeddingNames,
  bertEncoder,
  bertEncoderParts,
  bertFields,
  bertHead,
  bertLayer,
  bertLayerNames,
  size,
  unsupported,
  writeBertFields,
} from "./bert-like.js";
import type { Family } from "./family.js";
import { labelFields } from "./labels.js";
import { commonAliases, type NameRules, namesByRules } from "./name-rules.js";
import { robertaClassifier, robertaHeadNames, robertaPositions, writeRobertaPositions } from "./roberta.js";

const schema = z.looseObject({
  ...bertFields,
  pad_token_id: z.int().min(0).default(1),
  sep_token_id: z.int().min(0).nullish(),
  /** Both sides together, for all layers or for each. */
  attention_window: z.union([size, z.array(size)]).default(512),
});
type Fields = z.output<typeof schema>;

/** How far a token sees to either side, layer by layer. @throws CONFIG_UNSUPPORTED */
function windowsOf({ attention_window, num_hidden_layers }: Fields): number[] {
  const windows = Array.isArray(attention_window)
    ? attention_window
    : new Array<number>(num_hidden_layers).fill(attention_window);
  if (windows.length !== num_hidden_layers || windows.some((window) => window % 2 !== 0)) {
    throw unsupported("attention_window", attention_window, `${num_hidden_layers} even numbers`);
  }
  return windows.map((window) => window / 2);
}

const global = (name: string): string => `encoder.layer.{i}.attention.self.${name}_global`;

const layerNames: NameRules = {
  ...bertLayerNames,
  "layers.{i}.mixer.globalQuery": global("query"),
  "layers.{i}.mixer.globalKeyValue": [global("key"), global("value")],
};

export const longformer: Family = {
  modelType: "longformer",
  classPrefix: "Longformer",
  fields: [...Object.keys(schema.shape), ...labelFields],
  heads: { ForSequenceClassification: robertaClassifier },
  readConfig(json) {
    const config = parseConfig(schema, json, "config.json");
    const { channel, dropout } = bertLayer(config);
    return {
      encoder: {
        ...bertEncoder(config),
        ...robertaPositions(config),
        layers: windowsOf(config).map((window) => ({
          mixer: {
            type: "longformer",
            heads: config.num_attention_heads,
            window,
            dropout: config.attention_probs_dropout_prob,
          },
          channel,
          dropout,
        })),
      },
      head: { ...bertHead(json, config), activation: "gelu", separatorId: config.sep_token_id ?? undefined },
    };
  },
  writeConfig(encoder, head) {
    return {
      ...writeBertFields(encoder, head),
      ...writeRobertaPositions(encoder),
      attention_window: encoder.layers.map(({ mixer }) => ("window" in mixer ? 2 * mixer.window : 0)),
      ...("separatorId" in head ? { sep_token_id: head.separatorId ?? null } : {}),
    };
  },
  names: (encoder, head) =>
    namesByRules(encoder, head, {
      base: "longformer",
      encoder: { ...bertEmbeddingNames, ...layerNames },
      head: robertaHeadNames(head),
    }),
  aliases: commonAliases("longformer", bertEncoderParts),
};
