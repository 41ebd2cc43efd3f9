// Passages of novels in their order, as documents of sentences.
import { randomOrder, randomSource } from "../../data/random-source.js";
import { splitSentences } from "../../text/documents.js";
import { pagesOf } from "./pages.js";
import { scatteredTopics } from "./scattered-topics.js";
import { sharedText } from "./shared-text.js";

/** Passages as lists of sentences: to train on, others of the same books, and of books that are not trained on. */
export interface NovelPassages {
  readonly source: string;
  readonly train: readonly string[][];
  readonly held: readonly string[][];
  readonly otherBooks: readonly string[][];
}

/** The sentences of some passages of at least so many characters, drawn by a seed. */
function passagesOf(text: string, characters: number, count: number, seed: number): string[][] {
  const pages = pagesOf(text, characters, "\n").filter(({ length }) => length >= characters);
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
  const [books, others] = [sharedText("corpus_books/train.txt"), sharedText("corpus_books/valid.txt")];
  const total = counts.train + counts.held;
  if (books !== undefined && others !== undefined) {
    const drawn = passagesOf(books, characters, total, seed);
    const otherBooks = passagesOf(others, characters, counts.held, seed);
    return { source: "novels", train: drawn.slice(counts.held), held: drawn.slice(0, counts.held), otherBooks };
  }
  const { documents } = scatteredTopics(seed, { blocks: 32, topical: 32, blockWords: 24 });
  const made = documents(total + counts.held).map((text) => text.split("\n"));
  return {
    source: "made documents",
    train: made.slice(2 * counts.held),
    held: made.slice(0, counts.held),
    otherBooks: made.slice(counts.held, 2 * counts.held),
  };
}
