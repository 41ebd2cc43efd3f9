// Texts as sparse rows of weighted n-grams, as scikit-learn's TfidfVectorizer defines them.
import { ClozeError } from "../errors.js";

/** Rows of which most numbers are 0: those of row i are `starts[i]` to `starts[i + 1]` of columns and values. */
export interface SparseRows {
  readonly starts: Int32Array;
  /** Rising inside a row. */
  readonly columns: Int32Array;
  readonly values: Float64Array;
  readonly width: number;
}

export interface TfIdfOptions {
  /** Shortest and longest n-grams of words (runs of two or more letters and digits); null: none. Default [1, 2]. */
  words?: readonly [number, number] | null;
  /** Shortest and longest n-grams of characters inside words with a space on either side; null: none. Default null. */
  characters?: readonly [number, number] | null;
  /** N-grams of fewer texts are left out. Default 1. */
  minimumTexts?: number;
  /** Counts become 1 + log(count). Default false. */
  sublinear?: boolean;
}

type Settings = Required<TfIdfOptions>;
type Kind = "words" | "characters";

/** N-grams of one kind; each kind has a vocabulary and a norm of its own. */
interface Block {
  readonly kind: Kind;
  /** In the order of the columns. */
  readonly terms: readonly string[];
  readonly weights: Float64Array;
}

/** What `fitTfIdf` learned, as plain data but for the weights. */
export interface TfIdf {
  readonly settings: Settings;
  readonly blocks: readonly Block[];
  /** All columns. */
  readonly width: number;
}

// Python's \w: letters, numbers and the underscore, without marks.
const wordPattern = /[\p{L}\p{N}_]{2,}/gu;

function wordNgrams(text: string, [least, most]: readonly [number, number], visit: (term: string) => void): void {
  const words = text.match(wordPattern) ?? [];
  for (let first = 0; first < words.length; first++) {
    let term = "";
    for (let size = 1; size <= most && first + size <= words.length; size++) {
      term = size === 1 ? words[first] : `${term} ${words[first + size - 1]}`;
      if (size >= least) visit(term);
    }
  }
}

function characterNgrams(text: string, [least, most]: readonly [number, number], visit: (term: string) => void): void {
  for (const word of text.split(/\s+/u)) {
    if (word === "") continue;
    const letters = Array.from(` ${word} `);
    for (let size = least; size <= most; size++) {
      for (let at = 0; at === 0 || at + size <= letters.length; at++) visit(letters.slice(at, at + size).join(""));
      // A word that is shorter counts once, whole.
      if (size >= letters.length) break;
    }
  }
}

const ngrams = { words: wordNgrams, characters: characterNgrams };

/** How often each term stands in a text, by its number; `numberOf` gives undefined for those that do not count. */
function countTerms(
  text: string,
  kind: Kind,
  range: readonly [number, number],
  numberOf: (term: string) => number | undefined,
): Map<number, number> {
  const counts = new Map<number, number>();
  ngrams[kind](text.toLowerCase(), range, (term) => {
    const number = numberOf(term);
    if (number !== undefined) counts.set(number, (counts.get(number) ?? 0) + 1);
  });
  return counts;
}

function fitBlock(texts: readonly string[], kind: Kind, settings: Settings): Block {
  const range = settings[kind] as readonly [number, number];
  const numbers = new Map<string, number>();
  const frequencies: number[] = [];
  for (const text of texts) {
    const counts = countTerms(text, kind, range, (term) => {
      const known = numbers.get(term);
      if (known !== undefined) return known;
      numbers.set(term, numbers.size);
      frequencies.push(0);
      return numbers.size - 1;
    });
    for (const number of counts.keys()) frequencies[number]++;
  }
  const kept = [...numbers]
    .filter(([, number]) => frequencies[number] >= settings.minimumTexts)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    kind,
    terms: kept.map(([term]) => term),
    weights: Float64Array.from(kept, ([, number]) => Math.log((1 + texts.length) / (1 + frequencies[number])) + 1),
  };
}

function checkRange(name: string, range: readonly [number, number] | null): void {
  if (range === null) return;
  const [least, most] = range;
  if (range.length === 2 && Number.isInteger(least) && Number.isInteger(most) && least >= 1 && most >= least) return;
  throw new ClozeError("INVALID_OPTION", `TF-IDF: ${name} is no range of lengths`, {
    expected: "[shortest, longest], from 1 on, or null",
    received: JSON.stringify(range),
  });
}

/**
 * Learns the vocabulary of texts and the weight of each n-gram, log((1 + texts) / (1 + texts that have it)) + 1.
 *
 * @throws INVALID_OPTION, VOCABULARY_EMPTY
 */
export function fitTfIdf(texts: readonly string[], options: TfIdfOptions = {}): TfIdf {
  const { words = [1, 2], characters = null, minimumTexts = 1, sublinear = false } = options;
  const settings = { words, characters, minimumTexts, sublinear };
  checkRange("words", words);
  checkRange("characters", characters);
  const kinds = (["words", "characters"] as const).filter((kind) => settings[kind] !== null);
  const blocks = kinds.map((kind) => fitBlock(texts, kind, settings));
  const width = blocks.reduce((total, { terms }) => total + terms.length, 0);
  if (width > 0) return { settings, blocks, width };
  throw new ClozeError("VOCABULARY_EMPTY", "TF-IDF: the texts hold nothing that counts", {
    expected: "n-grams of words or of characters",
    received: `${texts.length} texts, words ${JSON.stringify(words)}, characters ${JSON.stringify(characters)}`,
    remedy: "Lower minimumTexts, or add n-grams of characters.",
  });
}

/**
 * Rows of counts times weights; what each kind of n-grams has in a row is divided by its Euclidean length. N-grams that
 * are not in the vocabulary count for nothing.
 */
export function tfIdfRows({ settings, blocks, width }: TfIdf, texts: readonly string[]): SparseRows {
  const numbers = blocks.map(({ terms }) => new Map(terms.map((term, i) => [term, i])));
  const starts = new Int32Array(texts.length + 1);
  const columns: number[] = [];
  const values: number[] = [];
  texts.forEach((text, row) => {
    let first = 0;
    blocks.forEach(({ kind, weights }, b) => {
      const range = settings[kind] as readonly [number, number];
      const counts = countTerms(text, kind, range, (term) => numbers[b].get(term));
      const entries = [...counts].sort(([a], [c]) => a - c);
      const weighed = entries.map(
        ([term, count]) => (settings.sublinear ? 1 + Math.log(count) : count) * weights[term],
      );
      const length = Math.sqrt(weighed.reduce((total, value) => total + value * value, 0));
      entries.forEach(([term], i) => {
        columns.push(first + term);
        values.push(weighed[i] / length);
      });
      first += weights.length;
    });
    starts[row + 1] = columns.length;
  });
  return { starts, columns: Int32Array.from(columns), values: Float64Array.from(values), width };
}
