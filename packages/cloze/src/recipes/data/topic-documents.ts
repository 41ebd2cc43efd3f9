// Documents whose paragraphs have a topic each: what belongs together shares a topic, not necessarily a word.
import type { TokenDocument } from "../../data/document-source.js";
import { type RandomSource, randomOrder, randomSource } from "../../data/random-source.js";
import { madeVocabulary } from "./hidden-word-classes.js";

export interface TopicDocumentOptions {
  /** Default 24. */
  readonly topics?: number;
  /** Words of a topic. Default 16. */
  readonly words?: number;
  /** Words of all topics. Default 40. */
  readonly common?: number;
  /** Share of a sentence's words that are the topic's. Default 0.5. */
  readonly share?: number;
  /** Topics of a document. Default 4. */
  readonly perDocument?: number;
}

/** Makes the language of a seed. */
export function topicDocuments(
  seed: number,
  { topics = 24, words = 16, common = 40, share = 0.5, perDocument = 4 }: TopicDocumentOptions = {},
) {
  const vocabulary = madeVocabulary(topics * words + common);
  const first = vocabulary.vocabularySize - topics * words - common;
  const ids = randomOrder(topics * words + common, randomSource(seed, 1)).map((id) => id + first);
  const sentence = (topic: number, random: RandomSource): Int32Array =>
    Int32Array.from({ length: 5 + Math.floor(random() * 5) }, () =>
      random() < share
        ? ids[topic * words + Math.floor(words * random() ** 2)]
        : ids[topics * words + Math.floor(common * random() ** 2)],
    );
  const document = (random: RandomSource): TokenDocument => ({
    title: new Int32Array(0),
    sections: [
      Array.from(randomOrder(topics, random).subarray(0, perDocument), (topic) => ({
        sentences: Array.from({ length: 3 + Math.floor(random() * 3) }, () => sentence(topic, random)),
      })),
    ],
  });
  return {
    vocabulary,
    documents(count: number, stream: number): TokenDocument[] {
      const random = randomSource(seed, 2, stream);
      return Array.from({ length: count }, () => document(random));
    },
  };
}
