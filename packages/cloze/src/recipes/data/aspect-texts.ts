// Texts with a topic for each of several aspects: in field k two texts are alike when aspect k agrees.
import { type RandomSource, randomOrder, randomSource } from "../../data/random-source.js";
import type { BinaryPair } from "../../embedding/evaluation/index.js";
import { type CitationGraph, cocitationPairs } from "../../embedding/mining/index.js";

export interface AspectTextOptions {
  /** Default 3. */
  readonly aspects?: number;
  /** Of each aspect. Default 60. */
  readonly topics?: number;
  /** Words of a topic. Default 12. */
  readonly words?: number;
  /** Words of a text from each topic, and of no topic. Default 6. */
  readonly drawn?: number;
  /** Words of no topic. Default 200. */
  readonly noise?: number;
}

/** Makes the language of a seed; fields are the aspects' numbers. */
export function aspectTexts(
  seed: number,
  { aspects = 3, topics = 60, words = 12, drawn = 6, noise = 200 }: AspectTextOptions = {},
) {
  const pick = (count: number, random: RandomSource): number => Math.floor(random() * count);
  const textOf = (of: readonly number[], random: RandomSource): string => {
    const all = of.flatMap((topic, aspect) =>
      Array.from(randomOrder(words, random).subarray(0, drawn), (word) => `a${aspect}t${topic}w${word}`),
    );
    for (let i = 0; i < drawn; i++) all.push(`n${pick(noise, random)}`);
    return Array.from(randomOrder(all.length, random), (i) => all[i]).join(" ");
  };
  const topicsOf = (random: RandomSource): number[] => Array.from({ length: aspects }, () => pick(topics, random));
  /** Topics that differ from others in every aspect but one. */
  const agreeing = (other: readonly number[], aspect: number, random: RandomSource): number[] =>
    other.map((topic, i) => (i === aspect ? topic : (topic + 1 + pick(topics - 1, random)) % topics));
  return {
    aspects,
    /** Every word of the language, for a tokenizer. */
    vocabulary: [
      ...Array.from({ length: aspects * topics * words }, (_, i) => {
        const [topic, word] = [Math.floor(i / words), i % words];
        return `a${Math.floor(topic / topics)}t${topic % topics}w${word}`;
      }),
      ...Array.from({ length: noise }, (_, i) => `n${i}`),
    ],
    /** Pairs of a field that one paper each cites together. */
    cited(field: number, count: number): { query: string; document: string }[] {
      const random = randomSource(seed, 1, field);
      const texts = new Map<string, string>();
      const graph: Record<string, string[]> = {};
      for (let i = 0; i < count; i++) {
        const of = topicsOf(random);
        texts.set(`${i}a`, textOf(of, random));
        texts.set(`${i}b`, textOf(agreeing(of, field, random), random));
        graph[`citing ${i}`] = [`${i}a`, `${i}b`];
      }
      return cocitationPairs(graph satisfies CitationGraph).map(({ first, second }) => ({
        query: texts.get(first) ?? "",
        document: texts.get(second) ?? "",
      }));
    },
    /** As many alike as not; those that are not share another aspect. */
    test(field: number, count: number): Omit<BinaryPair, "field">[] {
      const random = randomSource(seed, 2, field);
      return Array.from({ length: count }, (_, i) => {
        const of = topicsOf(random);
        const label = i % 2;
        const shared = label === 1 ? field : (field + 1 + pick(aspects - 1, random)) % aspects;
        return { first: textOf(of, random), second: textOf(agreeing(of, shared, random), random), label };
      });
    },
  };
}
