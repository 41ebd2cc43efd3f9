// Long documents of one topic of which only some blocks, at random places, speak: who reads the beginning alone often misses it.

import { type RandomSource, randomOrder, randomSource } from "../../data/random-source.js";
import type { BinaryPair } from "../../embedding/evaluation/index.js";
import type { EmbeddingRow } from "../../embedding/training/rows.js";

export interface ScatteredTopicOptions {
  /** Default 20. */
  readonly topics?: number;
  /** Words of a topic. Default 30. */
  readonly words?: number;
  /** Words of no topic, frequent by Zipf's law. Default 1,000. */
  readonly background?: number;
  /** Blocks of a document, a sentence on a line each. Default 16. */
  readonly blocks?: number;
  /** Words of a block. Default 16. */
  readonly blockWords?: number;
  /** Blocks that speak of the topic. Default 6. */
  readonly topical?: number;
  /** Share of a topical block's words that are the topic's. Default 0.4. */
  readonly share?: number;
}

/** Makes the language of a seed. */
export function scatteredTopics(
  seed: number,
  {
    topics = 20,
    words = 30,
    background = 1000,
    blocks = 16,
    blockWords = 16,
    topical = 6,
    share = 0.4,
  }: ScatteredTopicOptions = {},
) {
  // Sums of 1 / rank: the word of a draw is the first that reaches it.
  const sums = new Float64Array(background);
  for (let rank = 0, sum = 0; rank < background; rank++) sums[rank] = sum += 1 / (rank + 1);
  const common = (random: RandomSource): string => {
    const wanted = random() * sums[background - 1];
    let [low, high] = [0, background - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (sums[middle] < wanted) low = middle + 1;
      else high = middle;
    }
    return `w${low}`;
  };
  const pick = (count: number, random: RandomSource): number => Math.floor(random() * count);
  const document = (topic: number, random: RandomSource): string => {
    const speaking = new Set(randomOrder(blocks, random).subarray(0, topical));
    return Array.from({ length: blocks }, (_, block) =>
      Array.from({ length: blockWords }, () =>
        speaking.has(block) && random() < share ? `t${topic}w${pick(words, random)}` : common(random),
      ).join(" "),
    ).join("\n");
  };
  return {
    /** Every word of the language, for a tokenizer. */
    vocabulary: [
      ...Array.from({ length: topics * words }, (_, i) => `t${Math.floor(i / words)}w${i % words}`),
      ...Array.from({ length: background }, (_, rank) => `w${rank}`),
    ],
    documents(count: number): string[] {
      const random = randomSource(seed, 1);
      return Array.from({ length: count }, () => document(pick(topics, random), random));
    },
    /** Pairs of one topic each, all new: for training. */
    alike(count: number): Required<Pick<EmbeddingRow, "texts" | "label">>[] {
      const random = randomSource(seed, 2);
      return Array.from({ length: count }, () => {
        const topic = pick(topics, random);
        return { texts: [document(topic, random), document(topic, random)], label: 1 };
      });
    },
    /** As many of one topic as of two; all documents are new. */
    test(count: number): BinaryPair[] {
      const random = randomSource(seed, 3);
      return Array.from({ length: count }, (_, i) => {
        const label = (i + 1) % 2;
        const topic = pick(topics, random);
        const other = label === 1 ? topic : (topic + 1 + pick(topics - 1, random)) % topics;
        return { first: document(topic, random), second: document(other, random), label };
      });
    },
  };
}
