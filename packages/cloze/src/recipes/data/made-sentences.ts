// Sentences of words that do not exist, for recipes on text where no real text is at hand: topics have words of their own,
// names are capitalised, and words follow each other in pairs more often than by chance.
import { type RandomSource, randomSource } from "../../data/random-source.js";

/** A sentence and the topics that its words are of. */
export interface MadeSentence {
  readonly text: string;
  readonly topics: readonly number[];
}

const consonants = "bdfgklmnprstvz";
const vowels = "aeiou";

function wordOf(random: RandomSource, syllables: number): string {
  const pick = (letters: string): string => letters[Math.floor(random() * letters.length)];
  return Array.from({ length: syllables }, () => pick(consonants) + pick(vowels)).join("") + pick(consonants);
}

/**
 * Makes a language of a register: its topics and names are its own, its 150 common words are every register's.
 *
 * @param register its number
 */
export function madeSentences(seed: number, register: number, { topics = 8, words = 40, names = 60 } = {}) {
  const shared = randomSource(seed, 31);
  const own = randomSource(seed, 32, register);
  const list = (random: RandomSource, count: number, syllables: number): string[] =>
    Array.from({ length: count }, () => wordOf(random, syllables));
  const common = list(shared, 150, 1);
  const byTopic = Array.from({ length: topics }, () => list(own, words, 2));
  const nameWords = list(own, names, 3);
  // A word of low rank is frequent.
  const skewed = (random: RandomSource, from: readonly string[]): number => Math.floor(from.length * random() ** 2);
  return {
    topics,
    sentence(random: RandomSource, about: readonly number[]): MadeSentence {
      const text: string[] = [];
      const length = 8 + Math.floor(random() * 8);
      while (text.length < length) {
        const draw = random();
        if (draw < 0.45) text.push(common[skewed(random, common)]);
        else if (draw < 0.55) {
          const name = nameWords[skewed(random, nameWords)];
          text.push(name[0].toUpperCase() + name.slice(1));
        } else {
          const topic = byTopic[about[Math.floor(random() * about.length)]];
          const at = skewed(random, topic);
          text.push(topic[at]);
          if (random() < 0.6) text.push(topic[(at * 7 + 3) % topic.length]);
        }
      }
      return { text: `${text.join(" ")}.`, topics: about };
    },
  };
}
