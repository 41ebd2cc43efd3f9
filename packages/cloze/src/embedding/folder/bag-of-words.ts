// BoW: a list of words with weights, in one file of settings.
import { paths, type Tensor, tensor } from "@cloze/tensor";
import { z } from "zod";
import { ClozeError } from "../../errors.js";
import { wordListOf, wordListTokenizer } from "../../text/word-list.js";
import { staticMaxLength, staticModel } from "../static-embedder.js";
import { weightsOfWords, wordWeightsSchema } from "../token-modules/word-weights.js";
import type { InputModuleKind } from "./input-module.js";
import { readJson, writeJson } from "./json-file.js";

const { join } = paths;

const schema = wordWeightsSchema.extend({ cumulative_term_frequency: z.boolean().default(true) });
const file = "config.json";

export const bagOfWords: InputModuleKind = {
  type: "BoW",
  path: "models.BoW",
  pooled: true,
  load(folder) {
    const { cumulative_term_frequency: cumulative, ...config } = readJson(join(folder, file), schema);
    const vocab = [...new Set(config.vocab)];
    const weights = tensor(weightsOfWords({ ...config, vocab }), [vocab.length, 1]);
    const model = staticModel(weights);
    // sentence-transformers does not train them.
    model.parameters.get("encoder.embeddings.word.weight")?.requireGrad(false);
    return {
      model,
      tokenizer: wordListTokenizer({ words: vocab }),
      bag: { words: vocab.length, cumulative },
      reading: { maxLength: staticMaxLength, specialTokens: false },
    };
  },
  describes: ({ bag }) => bag !== undefined,
  /** @throws EMBEDDER_MODULE for a tokenizer that is no list of words, FILE_WRITE, DISK_FULL */
  save({ model, tokenizer, bag }, folder) {
    const words = wordListOf(tokenizer)?.words;
    if (words === undefined) {
      throw new ClozeError("EMBEDDER_MODULE", "A bag of words is written with its list of words", {
        expected: "a tokenizer that is such a list",
        received: "another tokenizer",
        remedy: "Make the embedder with wordListTokenizer({ words }).",
      });
    }
    const table = model.parameters.get("encoder.embeddings.word.weight") as Tensor;
    const values = table.toTypedArray();
    const config = {
      vocab: words,
      word_weights: Object.fromEntries(words.map((word, i) => [word, values[i]])),
      unknown_word_weight: 1,
      cumulative_term_frequency: bag?.cumulative ?? true,
    };
    writeJson(join(folder, file), config);
  },
};
