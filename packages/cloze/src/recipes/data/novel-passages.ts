// Passages of novels in their order, as documents of sentences.
import { randomOrder, randomSource } from "../../data/random-source.js";
import { splitSentences } from "../../text/documents.js";
import { scatteredTopics } from "./scattered-topics.js";
import { sharedText } from "./shared-text.js";

/** Passages as lists of sentences: to train on, and of books that are not trained on. */
export interface NovelPassages {
  readonly source: string;
  readonly train: readonly string[][];
  readonly held: readonly string[][];
}

/** The sentences of some passages of at least so many characters, drawn by a seed. */
function passagesOf(text: string, characters: number, count: number, seed: number): string[][] {
  const pages: string[] = [];
  let page = "";
  for (const line of text.split("\n")) {
    page += page === "" ? line : `\n${line}`;
    if (page.length < characters) continue;
    pages.push(page);
    page = "";
  }
  const drawn = randomOrder(pages.length, randomSource(seed, 1)).subarray(0, count);
  return Array.from(drawn, (i) => splitSentences(pages[i]));
}

/**
 * Novels of ../shared/data; where these are not at hand, made documents of one topic each.
 *
 * @param characters of a passage at least; made documents have 32 sentences of 24 words
 */
export function novelPassages(
  seed: number,
  characters: number,
  counts: { train: number; held: number },
): NovelPassages {
  const [books, held] = [sharedText("corpus_books/train.txt"), sharedText("corpus_books/valid.txt")];
  if (books !== undefined && held !== undefined) {
    return {
      source: "novels",
      train: passagesOf(books, characters, counts.train, seed),
      held: passagesOf(held, characters, counts.held, seed),
    };
  }
  const { documents } = scatteredTopics(seed, { blocks: 32, topical: 32, blockWords: 24 });
  const made = documents(counts.train + counts.held).map((text) => text.split("\n"));
  return { source: "made documents", train: made.slice(counts.held), held: made.slice(0, counts.held) };
}
