// A large and a small corpus of different registers: novels and news, or two made languages.
import { randomOrder, randomSource } from "../../data/random-source.js";
import type { TextRow } from "../../data/readers/index.js";
import { madeSentences } from "./made-sentences.js";
import { pagesOf } from "./pages.js";
import { sharedTable } from "./sentence-pairs.js";
import { sharedText } from "./shared-text.js";

/** Texts of two registers; none is in two of the lists. */
export interface Registers {
  readonly large: readonly string[];
  readonly largeHeld: readonly string[];
  readonly small: readonly string[];
  readonly smallHeld: readonly string[];
  /** Texts of the small register with their subject, to fine-tune on, and others to test with. */
  readonly labelled: readonly TextRow[];
  readonly test: readonly TextRow[];
}

export interface RegisterSizes {
  /** Bytes. */
  readonly large: number;
  readonly small: number;
  readonly held: number;
  readonly labelled: number;
  readonly test: number;
}

/** Takes texts from the front until so many bytes are there. */
function takeBytes<T>(texts: T[], bytes: number, textOf: (one: T) => string): T[] {
  let used = 0;
  let count = 0;
  while (count < texts.length && used < bytes) used += Buffer.byteLength(textOf(texts[count++]));
  return texts.splice(0, count);
}

const itself = (text: string): string => text;
const shuffled = <T>(list: readonly T[], seed: number, stream: number): T[] =>
  Array.from(randomOrder(list.length, randomSource(seed, 41, stream)), (i) => list[i]);

/** Characters of a page. */
const pageLength = 2000;

/** Whole pages of a file of books. */
const passages = (text: string): string[] => pagesOf(text, pageLength).filter(({ length }) => length >= pageLength);

function divide(
  large: readonly string[],
  largeHeld: readonly string[],
  rows: readonly TextRow[],
  test: readonly TextRow[],
  sizes: RegisterSizes,
  seed: number,
): Registers {
  const pages = shuffled(large, seed, 1);
  const held = shuffled(largeHeld, seed, 2);
  const own = shuffled(rows, seed, 3);
  const texts = (part: readonly TextRow[]): string[] => part.map(({ text }) => text);
  return {
    large: takeBytes(pages, sizes.large, itself),
    largeHeld: takeBytes(held, sizes.held, itself),
    small: texts(takeBytes(own, sizes.small, ({ text }) => text)),
    smallHeld: texts(takeBytes(own, sizes.held, ({ text }) => text)),
    labelled: own.splice(0, sizes.labelled),
    test: shuffled(test, seed, 4).slice(0, sizes.test),
  };
}

/** Two made registers. */
export function madeRegisters(seed: number, sizes: RegisterSizes): Registers {
  const [novels, news] = [madeSentences(seed, 1), madeSentences(seed, 2)];
  const random = randomSource(seed, 42);
  const page = (): string => {
    const about = [Math.floor(random() * novels.topics), Math.floor(random() * novels.topics)];
    return Array.from({ length: 20 }, () => novels.sentence(random, about).text).join(" ");
  };
  const row = (_: unknown, i: number): TextRow => {
    const topic = Math.floor(random() * news.topics);
    const text = Array.from({ length: 3 }, () => news.sentence(random, [topic]).text).join(" ");
    return { text, label: `topic ${topic}`, row: i + 1 };
  };
  const pages = (bytes: number): string[] => Array.from({ length: Math.ceil(bytes / 1200) }, page);
  const rows = Array.from({ length: Math.ceil((sizes.small + sizes.held) / 120) + sizes.labelled }, row);
  return divide(pages(sizes.large), pages(sizes.held), rows, Array.from({ length: sizes.test }, row), sizes, seed);
}

/** Novels and news of ../shared/data, or two made registers where these are not at hand. */
export function novelsAndNews(seed: number, sizes: RegisterSizes): Registers {
  const [books, held] = [sharedText("corpus_books/train.txt"), sharedText("corpus_books/valid.txt")];
  if (books !== undefined && held !== undefined && sharedText("agnews/train.tsv") !== undefined) {
    const rows = (name: string): TextRow[] =>
      sharedTable(`agnews/${name}.tsv`).map(({ text, label }, i) => ({ text, label, row: i + 1 }));
    return divide(passages(books), passages(held), rows("train"), rows("test"), sizes, seed);
  }
  return madeRegisters(seed, sizes);
}
