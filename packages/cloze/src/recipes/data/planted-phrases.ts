// A language with fixed phrases: half of its tokens stand in phrases, whose classes follow each other.
import { type RandomSource, randomOrder, randomSource } from "../../data/random-source.js";
import { madeVocabulary, type TaggedSentences } from "./hidden-word-classes.js";

/** Makes the language of a seed: 300 phrases of 2 or 3 of 200 words, in 6 classes, between words of a Markov chain. */
export function plantedPhrases(seed: number, { words = 200, phrases = 300, classes = 6 } = {}) {
  const vocabulary = madeVocabulary(words);
  const first = vocabulary.vocabularySize - words;
  const random = randomSource(seed, 21);
  const planted = new Map<string, number[]>();
  while (planted.size < phrases) {
    const length = planted.size % 3 === 2 ? 3 : 2;
    const ids = Array.from({ length }, () => first + Math.floor(random() * words));
    planted.set(ids.join(" "), ids);
  }
  const all = [...planted.values()];
  const next = randomOrder(classes, random);
  const followers = Array.from({ length: words }, () => Array.from({ length: 40 }, () => Math.floor(random() * words)));
  const perClass = Math.floor(phrases / classes);
  function sentence(source: RandomSource, labels: number[]): number[] {
    const ids: number[] = [];
    let c = Math.floor(source() * classes);
    let word = Math.floor(source() * words);
    for (let i = 0; i < 5; i++) {
      const run = 1 + Math.floor(source() * 4);
      for (let j = 0; j < run; j++) {
        word = followers[word][Math.floor(source() * 40)];
        ids.push(first + word);
        labels.push(-100);
      }
      const phrase = all[c * perClass + Math.floor(source() * perClass)];
      labels.push(c, ...phrase.slice(1).map(() => -100));
      ids.push(...phrase);
      c = source() < 0.8 ? next[c] : Math.floor(source() * classes);
    }
    return ids;
  }
  const tagged = (count: number, stream: number): TaggedSentences => {
    const source = randomSource(seed, 22, stream);
    const made = Array.from({ length: count }, () => {
      const labels: number[] = [];
      return { ids: Int32Array.from(sentence(source, labels)), labels: Int32Array.from(labels) };
    });
    return { sentences: made.map(({ ids }) => ids), labels: made.map(({ labels }) => labels) };
  };
  return { vocabulary, phrases: all, classes, tagged };
}
