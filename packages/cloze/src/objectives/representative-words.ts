// PROP (Ma 2021, arXiv 2010.10137): of two sets of words that a document's language model gives, which one stands for it better?
// Masked words are predicted beside.
import { add, mean, mul, sigmoid, sub, type Tensor, take, tensor } from "@cloze/tensor";
import { z } from "zod";
import { packSequences, type Sequence } from "../data/packed-batch.js";
import type { RandomSource } from "../data/random-source.js";
import { encoderFlops } from "../encoder/flops.js";
import { ClozeError } from "../errors.js";
import { headFlops } from "./head-flops.js";
import { maskedBeside } from "./masked-beside.js";
import { type MaskedBatch, maskTokens } from "./masking.js";
import { cannotCombine, defineObjective } from "./objective.js";
import { createClassifier } from "./pairs/classifier.js";
import { pairSequence } from "./pairs/pair-batch.js";

const type = "representative-words";

const schema = z.strictObject({
  type: z.literal(type),
  meanWords: z.number().positive().default(3).describe("words of a set: drawn by Poisson's law with this mean (3)"),
  preferenceWeight: z.number().min(0).default(1).describe("what the loss of sets is multiplied by (1)"),
  ...maskedBeside,
});

/** How often each token stands in a corpus, and how long its documents are. */
export interface CollectionLanguage {
  readonly counts: Float64Array;
  readonly tokens: number;
  readonly meanLength: number;
}

/** Counts the tokens of a corpus. @param size of the vocabulary */
export function collectionLanguage(texts: Iterable<ArrayLike<number>>, size: number): CollectionLanguage {
  const counts = new Float64Array(size);
  let [tokens, documents] = [0, 0];
  for (const ids of texts) {
    documents++;
    tokens += ids.length;
    for (let i = 0; i < ids.length; i++) counts[ids[i]]++;
  }
  return { counts, tokens, meanLength: tokens / Math.max(1, documents) };
}

/** Draws tokens as often as they stand in the corpus. */
function drawFrom({ counts, tokens }: CollectionLanguage): (random: RandomSource) => number {
  const ends = new Float64Array(counts.length);
  let sum = 0;
  for (let id = 0; id < counts.length; id++) ends[id] = sum += counts[id];
  return (random) => {
    const wanted = random() * tokens;
    let [low, high] = [0, ends.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (ends[middle] > wanted) high = middle;
      else low = middle + 1;
    }
    return low;
  };
}

/** P(w | d) = (tf + mu P(w | C)) / (length + mu), mu the mean length (Dirichlet smoothing): its logarithm for each token. */
export function documentLanguage(
  document: ArrayLike<number>,
  { counts, tokens, meanLength }: CollectionLanguage,
): (id: number) => number {
  const own = new Map<number, number>();
  for (let i = 0; i < document.length; i++) own.set(document[i], (own.get(document[i]) ?? 0) + 1);
  return (id) => Math.log(((own.get(id) ?? 0) + (meanLength * counts[id]) / tokens) / (document.length + meanLength));
}

/** By Poisson's law (Knuth's way), at least 1. */
function setSize(average: number, random: RandomSource): number {
  for (;;) {
    let [size, product] = [0, random()];
    for (const limit = Math.exp(-average); product > limit; product *= random()) size++;
    if (size > 0) return size;
  }
}

export interface WordSets {
  /** The likelier one by the document's language model. */
  readonly better: Int32Array;
  readonly worse: Int32Array;
}

/**
 * Two sets of equally many tokens from a document's language model, the likelier one first. A token stands once in a set, unless
 * the document is too poor for that.
 */
export function wordSets(
  document: ArrayLike<number>,
  collection: CollectionLanguage,
  random: RandomSource,
  { meanWords = 3, draw = drawFrom(collection) }: { meanWords?: number; draw?: (random: RandomSource) => number } = {},
): WordSets {
  const { meanLength } = collection;
  const logProbability = documentLanguage(document, collection);
  const size = setSize(meanWords, random);
  const one = (): number =>
    random() * (document.length + meanLength) < document.length
      ? document[Math.floor(random() * document.length)]
      : draw(random);
  const sets = [0, 1].map(() => {
    const found = new Set<number>();
    for (let tries = 0; found.size < size && tries < 20 * size; tries++) found.add(one());
    return [...found];
  });
  // Sets are of equal length.
  const length = Math.min(...sets.map((set) => set.length));
  const [a, b] = sets.map((set) => Int32Array.from(set.slice(0, length)));
  const likelihood = (set: Int32Array) => set.reduce((sum, id) => sum + logProbability(id), 0);
  return likelihood(a) >= likelihood(b) ? { better: a, worse: b } : { better: b, worse: a };
}

/**
 * Mean of max(0, 1 - (p+ - p-)) with (p+, p-) = softmax(better, worse). As p+ + p- = 1 the hinge is never closed, and the loss is
 * 2 sigmoid(worse - better): 1 where both score the same.
 *
 * @param better scores of the likelier sets: [documents, 1]
 */
export const preferenceLoss = (better: Tensor, worse: Tensor): Tensor => mul(mean(sigmoid(sub(worse, better))), 2);

export const representativeWords = defineObjective({
  schema,
  description: "which of two sets of words stands for a document, beside masked words (PROP, arXiv 2010.10137)",
  aliases: { prop: {} },
  input: "sequences",
  architecture: "ForMaskedLM",
  heads: ["masked-language", "pretraining"],
  check(_, { maxPositions }) {
    if (maxPositions >= 8) return;
    throw cannotCombine("Words before a document need more positions", {
      expected: "at least 8",
      received: String(maxPositions),
    });
  },
  create(config, { model, vocabulary, maxLength, seed, texts }) {
    if (texts === undefined) {
      throw cannotCombine("Words are drawn as often as they stand in a corpus", {
        expected: "a corpus that is read before the run",
        remedy: "Train with a corpus, not from one batch.",
      });
    }
    const collection = collectionLanguage(texts(), vocabulary.vocabularySize);
    if (collection.tokens === 0) throw new ClozeError("OBJECTIVE_CORPUS", "The corpus has no words to draw");
    const draw = drawFrom(collection);
    const classifier = createClassifier(type, 1, model.encoder.config, seed);
    const segments = model.encoder.config.segmentVocabularySize;
    const special = new Set([vocabulary.clsId, vocabulary.sepId]);
    return {
      parameters: classifier.parameters,
      state: new Map(),
      /** Of each document two sequences: the better set before it, and the worse one. */
      prepare(batch, random): MaskedBatch {
        const pairs: Sequence[] = [];
        for (let s = 0; s + 1 < batch.offsets.length; s++) {
          const document = batch.ids.subarray(batch.offsets[s], batch.offsets[s + 1]).filter((id) => !special.has(id));
          const { better, worse } = wordSets(document, collection, random, { ...config, draw });
          // Both sequences are of the same length, and hold as much of the document.
          for (const set of [better, worse]) {
            const words = set.subarray(0, Math.max(1, maxLength >> 2));
            const room = document.subarray(0, Math.max(0, maxLength - 3 - words.length));
            pairs.push(pairSequence(words, room, vocabulary, { maxLength, segments }));
          }
        }
        return maskTokens(packSequences(pairs), vocabulary, random, { rate: config.rate });
      },
      loss({ batch, rows, targets }, { seed: at, recompute, training = true }) {
        const { maskedLanguageWeight, preferenceWeight } = config;
        const asked = maskedLanguageWeight > 0 ? { rows, targets, lossOnly: true } : { rows: new Int32Array(0) };
        const { hidden, loss } = model.forward(batch, { ...asked, training, seed: at, recompute });
        const scores = classifier.logits(take(hidden, tensor(batch.offsets.slice(0, -1)))); // [2 documents, 1]
        const documents = scores.shape[0] >> 1;
        const of = (side: number) =>
          take(scores, tensor(Int32Array.from({ length: documents }, (_, d) => 2 * d + side)));
        const preference = mul(preferenceLoss(of(0), of(1)), preferenceWeight);
        return maskedLanguageWeight > 0 ? add(preference, mul(loss as Tensor, maskedLanguageWeight)) : preference;
      },
      tokens: ({ batch }) => batch.ids.length,
      flops: ({ batch, rows }) =>
        3 *
        (encoderFlops(model.encoder.config, batch.offsets) +
          headFlops(model, rows.length) +
          classifier.flops(batch.offsets.length - 1)),
      dispose: () => classifier.dispose(),
    };
  },
});
