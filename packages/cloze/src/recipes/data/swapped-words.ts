import { randomSource } from "../../data/random-source.js";
import type { HiddenWordClasses, TaggedSentences } from "./hidden-word-classes.js";

/**
 * Sentences in which two words were exchanged for others by chance (1) and two are asked that were not (0); the rest is
 * not told. Chance is 0.5.
 */
export function swappedWords(
  { vocabulary, sentences }: HiddenWordClasses,
  count: number,
  stream: number,
): TaggedSentences {
  const random = randomSource(stream, 61);
  const first = vocabulary.vocabularySize - 64;
  const labels: Int32Array[] = [];
  const changed = sentences(count, stream).map((ids) => {
    const tags = new Int32Array(ids.length).fill(-100);
    const places = new Set<number>();
    while (places.size < 4) places.add(Math.floor(random() * ids.length));
    const line = ids.slice();
    [...places].forEach((place, i) => {
      tags[place] = i % 2;
      if (i % 2 === 0) return;
      do line[place] = first + Math.floor(random() * 64);
      while (line[place] === ids[place]);
    });
    labels.push(tags);
    return line;
  });
  return { sentences: changed, labels };
}
