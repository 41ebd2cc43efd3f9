// Long documents, shortened to what concerns the query before a cross-encoder reads them: key blocks (KeyBLD, Li and Gaussier
// 2021) and the best passages by a cheap scorer (IDCM, Hofstätter 2021).
import { ClozeError } from "../../errors.js";
import { type Analyzer, createAnalyzer } from "../lexical/analyzer.js";
import { inverseFrequency } from "../lexical/bm25-formula.js";
import { aggregatePassages } from "./passages.js";

export interface BlockOptions {
  /** Words of a block at most; 63 unless told. */
  words?: number;
}

/** What a cut behind a word costs: little at the end of a sentence, more at a comma, most inside a clause. */
const cutCost = (word: string): number =>
  /[.!?。！？]["'”’)\]]*$/u.test(word) ? 0 : /[,;:，；：]["'”’)\]]*$/u.test(word) ? 1 : 4;

/**
 * Cuts a text into blocks, as few as its cuts are good: each block costs 8, each cut what stands before it (end of a sentence 0,
 * comma 1, else 4), and the cheapest way is taken, of equal ones that with the fullest blocks in front. Together the blocks hold every word once, in order.
 *
 * @throws BLOCK_SIZE for blocks without words
 */
export function cutBlocks(text: string, { words = 63 }: BlockOptions = {}): string[] {
  if (!(Number.isInteger(words) && words >= 1)) {
    throw new ClozeError("BLOCK_SIZE", "A block has at least one word", {
      expected: "a whole number from 1",
      received: String(words),
    });
  }
  const spans = [...text.matchAll(/\S+/g)].map((match) => [match.index, match.index + match[0].length] as const);
  const count = spans.length;
  // The least cost of the first i words, and where its last block begins.
  const costs = new Float64Array(count + 1).fill(Number.POSITIVE_INFINITY);
  const begins = new Int32Array(count + 1);
  costs[0] = 0;
  for (let end = 1; end <= count; end++) {
    const last = end === count ? 0 : cutCost(text.slice(...spans[end - 1]));
    for (let start = Math.max(0, end - words); start < end; start++) {
      const cost = costs[start] + 8 + last;
      if (cost <= costs[end]) {
        costs[end] = cost;
        begins[end] = start;
      }
    }
  }
  const blocks: string[] = [];
  for (let end = count; end > 0; end = begins[end]) blocks.push(text.slice(spans[begins[end]][0], spans[end - 1][1]));
  return blocks.reverse();
}

/** Scores of blocks for a query; higher is more relevant. */
export type BlockScorer = (query: string, blocks: readonly string[]) => ArrayLike<number>;

/**
 * BM25 of blocks, where how rare a word is comes of a whole collection.
 *
 * @param frequency documents of the collection that hold a term, of so many `documents`
 * @param analyze what the collection was read with; words as they are unless told
 */
export function bm25BlockScorer(
  { documents, frequency }: { readonly documents: number; frequency(term: string): number },
  { k1 = 0.9, b = 0.4, analyze = createAnalyzer() }: { k1?: number; b?: number; analyze?: Analyzer } = {},
): BlockScorer {
  return (query, blocks) => {
    const terms = analyze(query);
    const read = blocks.map(analyze);
    const mean = read.reduce((sum, { length }) => sum + length, 0) / Math.max(1, read.length);
    return read.map((words) => {
      const norm = k1 * (1 - b + (mean > 0 ? (b * words.length) / mean : 0));
      let score = 0;
      for (const term of terms) {
        const count = words.reduce((sum, word) => sum + Number(word === term), 0);
        if (count === 0) continue;
        score += (inverseFrequency(documents, frequency(term)) * (k1 + 1) * count) / (count + norm);
      }
      return score;
    });
  };
}

/** The places of the `count` best, in the order of the document; of equal ones the first. */
export function bestPlaces(scores: ArrayLike<number>, count: number): number[] {
  return Array.from({ length: scores.length }, (_, i) => i)
    .sort((a, b) => scores[b] - scores[a] || a - b)
    .slice(0, count)
    .sort((a, b) => a - b);
}

export interface KeyBlockOptions extends BlockOptions {
  /** Words of all kept blocks at most; 480 unless told. Count less where words fall into many pieces. */
  budget?: number;
}

const wordCount = (text: string): number => text.match(/\S+/g)?.length ?? 0;

/**
 * The blocks of a document that concern a query most, best first until the budget is full (a block that no longer fits is passed
 * over), in the order of the document. A document within the budget stays as it is.
 *
 * @example
 * const rerank = rerankPointwise(keyBlockEncoder(crossEncoder(model), bm25BlockScorer(index)), texts);
 */
export function keyBlocks(
  query: string,
  text: string,
  scorer: BlockScorer,
  { budget = 480, ...cut }: KeyBlockOptions = {},
): string {
  if (wordCount(text) <= budget) return text;
  const blocks = cutBlocks(text, cut);
  const scores = scorer(query, blocks);
  const kept: number[] = [];
  let used = 0;
  const order = blocks.map((_, i) => i).sort((a, b) => scores[b] - scores[a] || a - b);
  for (const place of order) {
    const length = wordCount(blocks[place]);
    if (used + length > budget) continue;
    used += length;
    kept.push(place);
  }
  return kept
    .sort((a, b) => a - b)
    .map((place) => blocks[place])
    .join(" ");
}

/** A scorer of pairs that reads of each document its key blocks. */
export const keyBlockEncoder = <
  Scorer extends { scorePairs(query: string, documents: readonly string[]): Float32Array },
>(
  model: Scorer,
  scorer: BlockScorer,
  options: KeyBlockOptions = {},
): Scorer => ({
  ...model,
  scorePairs: (query: string, documents: readonly string[]) =>
    model.scorePairs(
      query,
      documents.map((text) => keyBlocks(query, text, scorer, options)),
    ),
});

/**
 * One score of a document whose best passages alone were read (IDCM): the cheap scorer chooses, the dear one scores, and the
 * largest of its scores are added, each times its weight.
 *
 * @param read scores of the chosen passages; higher is more relevant
 * @param count passages that are read; 4 unless told
 * @param weights of the largest score, the second, …; three times 1 unless told. Missing passages count as nothing.
 */
export function selectAndScore(
  query: string,
  passages: readonly string[],
  cheap: BlockScorer,
  read: BlockScorer,
  { count = 4, weights = [1, 1, 1] }: { count?: number; weights?: readonly number[] } = {},
): number {
  const chosen = bestPlaces(cheap(query, passages), count).map((place) => passages[place]);
  const scores = Array.from(read(query, chosen)).sort((a, b) => b - a);
  const weighed = scores.slice(0, weights.length).map((score, rank) => score * weights[rank]);
  return aggregatePassages(weighed, "sum");
}
