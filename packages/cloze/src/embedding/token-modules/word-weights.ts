import { mul, segmentSum, type Tensor, take, tensor } from "@cloze/tensor";
import { z } from "zod";
import { ClozeError } from "../../errors.js";
import { settingsOf } from "./module-settings.js";
import type { TokenModule, TokenModuleKind } from "./token-module.js";

export const wordWeightsSchema = z.looseObject({
  vocab: z.array(z.string()),
  word_weights: z.record(z.string(), z.number()).default({}),
  unknown_word_weight: z.number().default(1),
});

/** The weight of each word of a vocabulary: that of the word, else of the word in lower case, else of words without one. */
export const weightsOfWords = ({
  vocab,
  word_weights: weights,
  unknown_word_weight: other,
}: Pick<z.output<typeof wordWeightsSchema>, "vocab" | "word_weights" | "unknown_word_weight">): Float32Array => {
  const known = new Map(Object.entries(weights));
  return Float32Array.from(vocab, (word) => known.get(word) ?? known.get(word.toLowerCase()) ?? other);
};

/** The vector of a token times a weight of its word (idf, say); means are divided by the sum of the weights. */
export const wordWeightsModule: TokenModuleKind = {
  type: "WordWeights",
  path: "models.WordWeights",
  file: "config.json",
  // The settings count, as in sentence-transformers, which does not read the file of weights beside them.
  load(config, width): TokenModule {
    const settings = settingsOf("WordWeights", config, wordWeightsSchema);
    const { vocab, unknown_word_weight } = settings;
    const table = tensor(weightsOfWords(settings), [vocab.length, 1]).keep("weights").requireGrad();
    const weightsOf = (ids: Int32Array): Tensor => {
      const wrong = ids.findIndex((id) => id >= vocab.length);
      if (wrong < 0) return take(table, tensor(ids));
      throw new ClozeError(
        "EMBEDDER_VOCABULARY",
        "A token has no weight: WordWeights knows fewer words than the tokenizer",
        {
          expected: `ids below ${vocab.length}`,
          received: String(ids[wrong]),
          remedy: "Use the tokenizer that the weights were made for, or weights of all its words.",
        },
      );
    };
    return {
      type: "WordWeights",
      width,
      parameters: new Map([["emb_layer.weight", table]]),
      forward: (x, { ids }) => (x.shape[0] === 0 ? x : mul(x, weightsOf(ids))),
      weightSums: ({ ids, offsets }) =>
        ids.length === 0
          ? tensor(new Float32Array(offsets.length - 1), [offsets.length - 1, 1])
          : segmentSum(weightsOf(ids), tensor(offsets)),
      config: () => ({
        vocab,
        word_weights: Object.fromEntries(Array.from(table.toTypedArray(), (value, i) => [vocab[i], value])),
        unknown_word_weight,
      }),
    };
  },
};
