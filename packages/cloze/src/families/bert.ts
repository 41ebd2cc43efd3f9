// BERT (arXiv 1810.04805), as transformers has it: `model_type` "bert".
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
  writeBertFields,
} from "./bert-like.js";
import type { Family } from "./family.js";
import { labelFields } from "./labels.js";
import { commonAliases, namesByRules } from "./name-rules.js";

const schema = z.looseObject(bertFields);
const aliases = commonAliases("bert", bertEncoderParts);

export const bert: Family = {
  modelType: "bert",
  classPrefix: "Bert",
  fields: [...Object.keys(schema.shape), ...labelFields],
  readConfig(json) {
    const config = parseConfig(schema, json, "config.json");
    return { encoder: bertEncoder(config), head: bertHead(json, config) };
  },
  writeConfig: writeBertFields,
  names: (encoder, head) =>
    namesByRules(encoder, head, {
      base: "bert",
      encoder: { ...bertEmbeddingNames, ...bertLayerNames },
      head: bertHeadNames,
    }),
  aliases,
};
