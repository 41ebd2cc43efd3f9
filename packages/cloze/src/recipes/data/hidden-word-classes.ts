// "Hidden word classes": a language in which words are known by the company they keep. 8 classes of 8 words; a sentence is a
// chain of classes by one fixed permutation, with noise; inside a class words follow Zipf's law.
import { memoryStore } from "../../data/memory-store.js";
import { type RandomSource, randomOrder, randomSource } from "../../data/random-source.js";
import type { ObjectiveVocabulary } from "../../objectives/index.js";

const special = { padId: 0, unknownId: 1, clsId: 2, sepId: 3, maskId: 4 } as const;
const firstWord = 5;

/** Sentences and what is known of their words. */
export interface TaggedSentences {
  /** Without special tokens. */
  readonly sentences: readonly Int32Array[];
  /** The class of each token, -100 where it is not told. */
  readonly labels: readonly Int32Array[];
}

export interface HiddenWordClasses {
  readonly vocabulary: ObjectiveVocabulary;
  readonly classes: number;
  /** Text to pre-train on. */
  sentences(count: number, stream: number): Int32Array[];
  /** Sentences where the classes of two words of each class are told. */
  labelled(count: number): TaggedSentences;
  /** Sentences where the classes of the other words are asked. */
  test(count: number): TaggedSentences;
}

/** The ids of special tokens as made languages have them, and `words` words after them. */
export const madeVocabulary = (words: number): ObjectiveVocabulary => ({
  ...special,
  vocabularySize: firstWord + words,
  specialIds: new Set(Object.values(special)),
  isContinuation: () => false,
});

/** Makes the language of a seed. */
export function hiddenWordClasses(
  seed: number,
  { classes = 8, words = 8, length = 16, noise = 0.2 } = {},
): HiddenWordClasses {
  const ids = randomOrder(classes * words, randomSource(seed, 1)).map((id) => id + firstWord);
  const next = randomOrder(classes, randomSource(seed, 2));
  const classOf = new Map(Array.from(ids, (id, i) => [id, Math.floor(i / words)]));
  const weights = Array.from({ length: words }, (_, rank) => 1 / (rank + 1));
  const total = weights.reduce((a, b) => a + b);
  // Which two words of a class are told does not go by how frequent they are.
  const told = new Set(
    Array.from({ length: classes }, (_, c) =>
      Array.from(randomOrder(words, randomSource(seed, 3, c)).subarray(0, 2), (rank) => ids[c * words + rank]),
    ).flat(),
  );
  const word = (c: number, random: RandomSource): number => {
    let left = random() * total;
    let rank = 0;
    while (rank < words - 1 && left >= weights[rank]) left -= weights[rank++];
    return ids[c * words + rank];
  };
  const sentence = (random: RandomSource): Int32Array => {
    let c = Math.floor(random() * classes);
    return Int32Array.from({ length }, (_, i) => {
      if (i > 0) c = random() < noise ? Math.floor(random() * classes) : next[c];
      return word(c, random);
    });
  };
  const make = (count: number, stream: number): Int32Array[] => {
    const random = randomSource(seed, 4, stream);
    return Array.from({ length: count }, () => sentence(random));
  };
  const tag = (sentences: readonly Int32Array[], known: boolean): TaggedSentences => ({
    sentences,
    labels: sentences.map((line) => line.map((id) => (told.has(id) === known ? (classOf.get(id) as number) : -100))),
  });
  return {
    vocabulary: madeVocabulary(classes * words),
    classes,
    sentences: make,
    labelled: (count) => tag(make(count, 1001), true),
    test: (count) => tag(make(count, 1002), false),
  };
}

/** The language of a seed, a store of its sentences to pre-train on, and told and asked words to fine-tune and score with. */
export function hiddenWordTask(seed: number, sentences: number) {
  const language = hiddenWordClasses(seed);
  return {
    language,
    corpus: memoryStore(language.sentences(sentences, 1)),
    labelled: language.labelled(200),
    test: language.test(1000),
  };
}
