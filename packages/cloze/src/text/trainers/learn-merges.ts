import { MinHeap } from "../min-heap.js";
import { PairTable } from "../pair-table.js";

/** Words as symbols, end to end: word `w` holds symbols `starts[w]` to `starts[w + 1]`, and was seen `counts[w]` times. */
export interface SymbolWords {
  readonly symbols: Int32Array;
  readonly starts: Int32Array;
  readonly counts: Float64Array;
}

/** When {@link learnMerges} stops, and how it writes what it makes. */
export interface LearnMergesOptions {
  /** Stop when there are this many tokens. */
  readonly vocabularySize: number;
  /** Stop when the most frequent pair was seen less often. */
  readonly minFrequency: number;
  /** What tokens begin with that do not begin a word; it is taken off when two tokens are joined. */
  readonly prefix: string;
}

/**
 * Byte-pair encoding: joins the most frequent pair of neighbours into a token, again and again. Of pairs that were seen
 * equally often, the one with the lowest ids comes first.
 *
 * @param words the words; their symbols are used up.
 * @param tokens the tokens so far, by id; what is learnt is added.
 * @returns the pairs in the order in which they were learnt.
 */
export function learnMerges(words: SymbolWords, tokens: string[], options: LearnMergesOptions): [number, number][] {
  const { vocabularySize, minFrequency, prefix } = options;
  const ids = new Map(tokens.map((token, id) => [token, id]));
  const state = new PairCounts(words);
  const merges: [number, number][] = [];
  const learnt = new Set<number>();
  const heap = new MinHeap();
  const { pairs } = state;
  const offer = (pair: number): void => {
    const count = state.counts[pair];
    if (count > 0) heap.push(-count, pairs.left[pair] * 0x4000000 + pairs.right[pair], pair);
  };
  for (let pair = 0; pair < pairs.size; pair++) offer(pair);
  while (ids.size < vocabularySize && heap.pop()) {
    const pair = heap.payload;
    const count = state.counts[pair];
    if (count !== -heap.key) {
      // Merges of other pairs have taken some away (or added some) since it was queued.
      offer(pair);
      continue;
    }
    if (count < Math.max(minFrequency, 1)) break;
    const left = pairs.left[pair];
    const right = pairs.right[pair];
    const rest = tokens[right].startsWith(prefix) ? tokens[right].slice(prefix.length) : tokens[right];
    const token = tokens[left] + rest;
    let made = ids.get(token);
    if (made === undefined) {
      made = tokens.length;
      tokens.push(token);
      ids.set(token, made);
    }
    if (!learnt.has(pair)) merges.push([left, right]);
    learnt.add(pair);
    for (const created of state.merge(pair, made)) offer(created);
  }
  return merges;
}

/** How often each pair of neighbours occurs, and in which words. */
class PairCounts {
  readonly pairs = new PairTable(1 << 15);
  counts = new Float64Array(1 << 15);
  private readonly places: number[][] = [];
  private readonly symbols: Int32Array;
  private readonly starts: Int32Array;
  private readonly lengths: Int32Array;
  private readonly weights: Float64Array;

  constructor(words: SymbolWords) {
    this.symbols = words.symbols;
    this.starts = words.starts;
    this.weights = words.counts;
    const total = words.counts.length;
    this.lengths = new Int32Array(total);
    for (let word = 0; word < total; word++) {
      const start = this.starts[word];
      const end = this.starts[word + 1];
      this.lengths[word] = end - start;
      for (let at = start; at + 1 < end; at++) this.add(this.symbols[at], this.symbols[at + 1], word);
    }
  }

  /** Counts a pair in a word; gives its index. */
  private add(left: number, right: number, word: number): number {
    const pair = this.pairs.add(left, right);
    if (pair >= this.counts.length) {
      const longer = new Float64Array(this.counts.length * 2);
      longer.set(this.counts);
      this.counts = longer;
    }
    this.counts[pair] += this.weights[word];
    let places = this.places[pair];
    if (places === undefined) {
      places = [];
      this.places[pair] = places;
    }
    if (places[places.length - 1] !== word) places.push(word);
    return pair;
  }

  private take(left: number, right: number, word: number): void {
    this.counts[this.pairs.find(left, right)] -= this.weights[word];
  }

  /** Replaces a pair by a symbol wherever it occurs; gives the pairs that came about. */
  merge(pair: number, made: number): Set<number> {
    const created = new Set<number>();
    const left = this.pairs.left[pair];
    const right = this.pairs.right[pair];
    const places = this.places[pair];
    this.places[pair] = [];
    for (const word of places) this.mergeWord(word, left, right, made, created);
    this.counts[pair] = 0;
    created.delete(pair);
    return created;
  }

  private mergeWord(word: number, left: number, right: number, made: number, created: Set<number>): void {
    const { symbols } = this;
    const start = this.starts[word];
    const end = start + this.lengths[word];
    let write = start;
    for (let read = start; read < end; ) {
      if (symbols[read] !== left || read + 1 >= end || symbols[read + 1] !== right) {
        symbols[write++] = symbols[read++];
        continue;
      }
      if (write > start) {
        this.take(symbols[write - 1], left, word);
        created.add(this.add(symbols[write - 1], made, word));
      }
      read += 2;
      if (read < end) {
        this.take(right, symbols[read], word);
        created.add(this.add(made, symbols[read], word));
      }
      symbols[write++] = made;
    }
    this.lengths[word] = write - start;
  }
}
