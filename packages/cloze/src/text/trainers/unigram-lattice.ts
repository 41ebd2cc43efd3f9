import { UNKNOWN_PENALTY } from "../models/unigram.js";
import { Trie } from "../trie.js";

/** Pieces with their scores (natural logarithms of probabilities); piece 0 stands for unknown characters. */
export interface ScoredPieces {
  readonly pieces: readonly string[];
  /** By piece; what is NaN is not used. The score of piece 0 is not looked at. */
  readonly scores: Float64Array;
}

/**
 * All ways to cut a word into pieces, as arcs between its places. One lattice serves word after word.
 *
 * The sums over ways are kept relative to the best way to each place, so that they neither overflow nor vanish for any
 * word of up to about a thousand characters.
 */
export class Lattice {
  private readonly trie: Trie;
  private readonly scores: Float64Array;
  private readonly unknownScore: number;
  private length = 0;
  /** Arcs in the order of where they start. */
  private arcs = 0;
  private arcStart = new Int32Array(256);
  private arcEnd = new Int32Array(256);
  private arcPiece = new Int32Array(256);
  private arcWeight = new Float64Array(256);
  private best = new Float64Array(64);
  private bestArc = new Int32Array(64);
  private forward = new Float64Array(64);
  private backward = new Float64Array(64);

  constructor({ pieces, scores }: ScoredPieces) {
    this.scores = scores;
    const used: string[] = [];
    const ids: number[] = [];
    let lowest = Number.POSITIVE_INFINITY;
    for (let id = 1; id < pieces.length; id++) {
      if (Number.isNaN(scores[id])) continue;
      used.push(pieces[id]);
      ids.push(id);
      lowest = Math.min(lowest, scores[id]);
    }
    this.trie = Trie.from(used, ids);
    this.unknownScore = lowest - UNKNOWN_PENALTY;
  }

  /**
   * Sets up the arcs of a word and finds the best way.
   *
   * @param without a piece that may not be used; none by default.
   * @returns the score of the best way; -Infinity where there is none.
   */
  read(word: string, without = -1): number {
    this.length = word.length;
    this.arcs = 0;
    this.reserve(word.length);
    const { best, bestArc, scores, trie } = this;
    best.fill(Number.NEGATIVE_INFINITY, 0, word.length + 1);
    best[0] = 0;
    for (let start = 0; start < word.length; ) {
      const width = word.codePointAt(start)! > 0xffff ? 2 : 1;
      let single = false;
      let node = 0;
      for (let unit = start; unit < word.length; unit++) {
        node = trie.child(node, word.charCodeAt(unit));
        if (node < 0) break;
        const piece = trie.value(node);
        if (piece < 0 || piece === without) continue;
        this.addArc(start, unit + 1, piece, scores[piece]);
        if (unit + 1 - start === width) single = true;
      }
      if (!single) this.addArc(start, start + width, 0, this.unknownScore);
      start += width;
    }
    bestArc[0] = -1;
    return best[word.length];
  }

  private addArc(start: number, end: number, piece: number, score: number): void {
    const at = this.arcs++;
    if (at === this.arcStart.length) this.growArcs();
    this.arcStart[at] = start;
    this.arcEnd[at] = end;
    this.arcPiece[at] = piece;
    this.arcWeight[at] = score;
    const total = this.best[start] + score;
    if (total > this.best[end]) {
      this.best[end] = total;
      this.bestArc[end] = at;
    }
  }

  /** The pieces of the best way, the last one first. */
  *bestPieces(): Generator<number> {
    for (let end = this.length; end > 0; ) {
      const arc = this.bestArc[end];
      yield this.arcPiece[arc];
      end = this.arcStart[arc];
    }
  }

  /** Adds to `expected` how often each piece is used on average over all ways, times `count`. */
  addExpected(expected: Float64Array, count: number): void {
    const { best, forward, backward, arcStart, arcEnd, arcPiece, arcWeight, length } = this;
    forward.fill(0, 0, length + 1);
    backward.fill(0, 0, length + 1);
    forward[0] = 1;
    for (let arc = 0; arc < this.arcs; arc++) {
      const start = arcStart[arc];
      const weight = Math.exp(best[start] + arcWeight[arc] - best[arcEnd[arc]]);
      arcWeight[arc] = weight;
      forward[arcEnd[arc]] += forward[start] * weight;
    }
    backward[length] = count / forward[length];
    for (let arc = this.arcs - 1; arc >= 0; arc--) {
      const share = arcWeight[arc] * backward[arcEnd[arc]];
      backward[arcStart[arc]] += share;
      expected[arcPiece[arc]] += forward[arcStart[arc]] * share;
    }
  }

  private reserve(length: number): void {
    if (this.best.length > length) return;
    const capacity = Math.max(length + 1, this.best.length * 2);
    this.best = new Float64Array(capacity);
    this.bestArc = new Int32Array(capacity);
    this.forward = new Float64Array(capacity);
    this.backward = new Float64Array(capacity);
  }

  private growArcs(): void {
    const capacity = this.arcStart.length * 2;
    const longer = (old: Int32Array): Int32Array<ArrayBuffer> => {
      const array = new Int32Array(capacity);
      array.set(old);
      return array;
    };
    this.arcStart = longer(this.arcStart);
    this.arcEnd = longer(this.arcEnd);
    this.arcPiece = longer(this.arcPiece);
    const weights = new Float64Array(capacity);
    weights.set(this.arcWeight);
    this.arcWeight = weights;
  }
}
