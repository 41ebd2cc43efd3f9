// From spans of characters to tags of words.
import { atOnce, type Steps } from "../../text/steps.js";
import { type TagScheme, type TagSpan, writeTags } from "./tag-scheme.js";

// A run of letters, digits and their marks is one word; a sign is one; in scripts without spaces a character is one.
const wordPattern =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]\p{M}*|(?:(?![\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}])[\p{L}\p{N}\p{M}_])+|[^\s\p{L}\p{N}\p{M}_]/gu;

export interface PlacedWords {
  readonly tokens: string[];
  readonly offsets: [number, number][];
}

/** Words of a text with their places: `[start, end)` in UTF-16 units. */
export const splitWords = (text: string): PlacedWords => atOnce(splitWordSteps(text));

/** The same in steps of some thousand words. */
export function* splitWordSteps(text: string): Steps<PlacedWords> {
  const tokens: string[] = [];
  const offsets: [number, number][] = [];
  for (const { 0: word, index } of text.matchAll(wordPattern)) {
    tokens.push(word);
    offsets.push([index, index + word.length]);
    if (tokens.length % 2048 === 0) yield;
  }
  return { tokens, offsets };
}

/** The longest of spans that overlap, by start; of equally long ones the first given. Also how many were left out. */
export function withoutOverlaps(spans: readonly TagSpan[]): { kept: TagSpan[]; dropped: number } {
  const kept: TagSpan[] = [];
  for (const span of [...spans].sort((a, b) => b.end - b.start - (a.end - a.start))) {
    if (kept.every(({ start, end }) => span.end <= start || span.start >= end)) kept.push(span);
  }
  return { kept: kept.sort((a, b) => a.start - b.start), dropped: spans.length - kept.length };
}

/** What {@link tagWords} gives. */
export interface TaggedWords {
  readonly tags: string[];
  /** Spans left out for longer ones that they overlap. */
  readonly dropped: number;
  /** Spans that begin or end inside a word; they were widened to whole words. */
  readonly insideWord: number;
  /** Spans that hold no word. */
  readonly empty: number;
}

/**
 * Tags of words for spans of characters: a word that a span touches belongs to it.
 *
 * @param offsets places of the words, ascending, `[start, end)` as the spans' are
 */
export function tagWords(
  offsets: readonly (readonly [number, number])[],
  spans: readonly TagSpan[],
  scheme: TagScheme,
): TaggedWords {
  let [insideWord, empty] = [0, 0];
  const ofWords = spans.flatMap((span): TagSpan[] => {
    const first = offsets.findIndex(([, end]) => end > span.start);
    let last = first;
    while (last >= 0 && last < offsets.length && offsets[last][0] < span.end) last++;
    if (last <= first) {
      empty++;
      return [];
    }
    if (offsets[first][0] < span.start || offsets[last - 1][1] > span.end) insideWord++;
    return [{ start: first, end: last, label: span.label }];
  });
  const { kept, dropped } = withoutOverlaps(ofWords);
  return { tags: writeTags(offsets.length, kept, scheme), dropped, insideWord, empty };
}
