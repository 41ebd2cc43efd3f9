// WordEmbeddings: a table of vectors, and a list of whole words or a tokenizer of transformers. A pooling stands behind it.
import { files, paths, readSafetensors, type Tensor, writeSafetensors } from "@cloze/tensor";
import { z } from "zod";
import { ClozeError } from "../../errors.js";
import { loadTokenizer, type Tokenizer } from "../../text/tokenizer.js";
import { wordListOf, wordListTokenizer } from "../../text/word-list.js";
import { isStaticConfig, staticMaxLength, staticModel } from "../static-embedder.js";
import type { InputModuleKind } from "./input-module.js";
import { readJson, writeJson } from "./json-file.js";
import { lastSegment } from "./router-file.js";

const { existsSync } = files;
const { join } = paths;

const [settingsFile, listFile, tableName] = [
  "wordembedding_config.json",
  "whitespacetokenizer_config.json",
  "emb_layer.weight",
];
/** Longest text that sentence-transformers writes where there is no limit. */
const noLimit = 1_000_000;

const schema = z.looseObject({
  tokenizer_class: z.string(),
  update_embeddings: z.boolean().default(false),
  max_seq_length: z.int().positive().default(noLimit),
});
const listSchema = z.looseObject({
  vocab: z.array(z.string()),
  stop_words: z.array(z.string()).default([]),
  do_lower_case: z.boolean().default(false),
});

interface Reader {
  readonly name: string;
  load(folder: string): { tokenizer: Tokenizer; specialTokens: boolean };
}

/** Tokenizers by the last segment of their class. */
const readers: readonly Reader[] = [
  {
    name: "WhitespaceTokenizer",
    load(folder) {
      const { vocab, stop_words, do_lower_case } = readJson(join(folder, listFile), listSchema);
      const tokenizer = wordListTokenizer({ words: vocab, stopWords: stop_words, lowerCase: do_lower_case });
      return { tokenizer, specialTokens: false };
    },
  },
  {
    name: "TransformersTokenizerWrapper",
    load: (folder) => ({ tokenizer: loadTokenizer(folder), specialTokens: true }),
  },
];

/** @throws EMBEDDER_MODULE for a tokenizer that Cloze does not have: phrases are cut by NLTK */
function readerOf(className: string): Reader {
  const found = readers.find(({ name }) => name === lastSegment(className));
  if (found !== undefined) return found;
  throw new ClozeError("EMBEDDER_MODULE", "WordEmbeddings are read by a tokenizer that Cloze does not have", {
    expected: readers.map(({ name }) => name).join(", "),
    received: lastSegment(className),
    remedy: "Save the model with a WhitespaceTokenizer of its words, or with a tokenizer of transformers.",
  });
}

export const wordEmbeddings: InputModuleKind = {
  type: "WordEmbeddings",
  path: "models.WordEmbeddings",
  pooled: false,
  load(folder) {
    const { tokenizer_class, update_embeddings, max_seq_length } = readJson(join(folder, settingsFile), schema);
    const { tokenizer, specialTokens } = readerOf(tokenizer_class).load(folder);
    const path = join(folder, "model.safetensors");
    if (!existsSync(path)) {
      throw new ClozeError("EMBEDDER_FILE", `${path} does not exist`, {
        remedy: "Save the model with a newer sentence-transformers: weights in pytorch_model.bin are not read.",
      });
    }
    const weights = readSafetensors(path);
    let table: Tensor;
    try {
      table = weights.load(tableName);
    } finally {
      weights.close();
    }
    const model = staticModel(table);
    // Trained only where the folder says so, as in sentence-transformers.
    model.parameters.get("encoder.embeddings.word.weight")?.requireGrad(update_embeddings);
    return { model, tokenizer, reading: { maxLength: Math.min(max_seq_length, staticMaxLength), specialTokens } };
  },
  describes: ({ model, options: { lowerCase } }) => isStaticConfig(model.config) && !lowerCase,
  save({ model, tokenizer, options: { maxLength } }, folder) {
    const table = model.parameters.get("encoder.embeddings.word.weight") as Tensor;
    const list = wordListOf(tokenizer);
    const json = (name: string, value: unknown) => writeJson(join(folder, name), value);
    writeSafetensors(join(folder, "model.safetensors"), [[tableName, table]]);
    if (list === undefined) tokenizer.save(folder);
    else json(listFile, { vocab: list.words, stop_words: list.stopWords, do_lower_case: list.lowerCase });
    json(settingsFile, {
      tokenizer_class: `sentence_transformers.models.tokenizer.${readers[list === undefined ? 1 : 0].name}`,
      update_embeddings: table.requiresGrad,
      max_seq_length: Math.min(maxLength, noLimit),
    });
  },
};
