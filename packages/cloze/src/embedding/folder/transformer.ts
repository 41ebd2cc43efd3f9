// Transformer: a model folder as Hugging Face has it, and the length of texts beside it.
import { files, paths } from "@cloze/tensor";
import { z } from "zod";
import { loadModel, saveModel } from "../../families/index.js";
import { loadTokenizer } from "../../text/tokenizer.js";
import { layerPoolingOf } from "../layer-pooling.js";
import type { InputModuleKind } from "./input-module.js";
import { optionalJson, readJson, writeJson } from "./json-file.js";

const { existsSync } = files;
const { join } = paths;

/** Names of the transformer's settings, the first that exists counts. */
const limitFiles = [
  "sentence_bert_config.json",
  ...["roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet"].map(
    (name) => `sentence_${name}_config.json`,
  ),
];

const limitSchema = z.looseObject({
  max_seq_length: z.number().int().positive().nullish(),
  do_lower_case: z.boolean().nullish(),
});
const tokenizerSchema = z.looseObject({ model_max_length: z.number().nullish() });

export const transformer: InputModuleKind = {
  type: "Transformer",
  path: "models.Transformer",
  pooled: false,
  load(folder) {
    const limitFile = limitFiles.map((name) => join(folder, name)).find(existsSync);
    const limits = limitFile === undefined ? undefined : readJson(limitFile, limitSchema);
    const tokenizerLimit = optionalJson(join(folder, "tokenizer_config.json"), tokenizerSchema)?.model_max_length;
    const model = loadModel(folder);
    try {
      const { maxPositions } = model.encoder.config;
      const positions = maxPositions > 0 ? maxPositions : 512;
      const maxLength = Math.min(limits?.max_seq_length ?? tokenizerLimit ?? positions, positions);
      const reading = { maxLength, lowerCase: limits?.do_lower_case ?? undefined };
      return { model, tokenizer: loadTokenizer(folder), reading };
    } catch (error) {
      model.dispose();
      throw error;
    }
  },
  describes: () => true,
  save({ model, tokenizer, options: { maxLength, lowerCase } }, folder) {
    const { base, source } = { base: model, source: model.source, ...layerPoolingOf(model) };
    // transformers gives the states of all layers where the file asks for them.
    const asked = base === model ? base : { ...base, source: { ...source, output_hidden_states: true } };
    saveModel(asked, folder);
    tokenizer.save(folder);
    const limits = { max_seq_length: maxLength, do_lower_case: lowerCase };
    writeJson(join(folder, "sentence_bert_config.json"), limits);
  },
};
