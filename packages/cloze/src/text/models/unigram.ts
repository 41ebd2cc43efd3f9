import type { JsonReader } from "../json-reader.js";
import { isIdentifier, JsonReader as Reader } from "../json-reader.js";
import { Trie } from "../trie.js";
import { byteToken } from "./bpe.js";
import { emptyTokens, type Model, type PieceTokens } from "./model.js";
import { missingUnknownToken } from "./vocabulary.js";

/** How much less likely an unknown character is than the least likely token, in natural logarithms. */
export const UNKNOWN_PENALTY = 10;

const encoder = new TextEncoder();

/** `Unigram`: of all ways to cut a piece into tokens, the most likely one. */
export class Unigram implements Model {
  private readonly trie: Trie;
  private readonly ids = new Map<string, number>();
  private readonly scores: Float64Array;
  private readonly unknownScore: number;
  private best = new Float64Array(64);
  private from = new Int32Array(64);
  private chosen = new Int32Array(64);

  /**
   * @param pieces tokens with their log-probabilities, by id.
   * @param unknownId the id of the unknown token; null for none.
   * @param byteFallback whether an unknown piece becomes its bytes; false by default.
   */
  constructor(
    private readonly pieces: readonly (readonly [string, number])[],
    private readonly unknownId: number | null,
    private readonly byteFallback = false,
  ) {
    this.scores = Float64Array.from(pieces, ([, score]) => score);
    let lowest = Number.POSITIVE_INFINITY;
    for (const score of this.scores) if (score < lowest) lowest = score;
    this.unknownScore = lowest - UNKNOWN_PENALTY;
    this.trie = Trie.from(pieces.map(([piece]) => piece));
    pieces.forEach(([piece], id) => {
      this.ids.set(piece, id);
    });
  }

  tokenize(piece: string): PieceTokens {
    this.search(piece);
    const tokens = emptyTokens();
    const ends: number[] = [];
    const starts: number[] = [];
    let fusing = false;
    for (let end = piece.length; end > 0; end = this.from[end]) {
      const unknown = this.chosen[end] === (this.unknownId ?? -1);
      if (unknown && fusing) {
        starts[starts.length - 1] = this.from[end];
      } else {
        ends.push(end);
        starts.push(this.from[end]);
      }
      fusing = unknown;
    }
    for (let at = starts.length - 1; at >= 0; at--) this.add(tokens, piece, starts[at], ends[at]);
    return tokens;
  }

  private add(tokens: PieceTokens, piece: string, start: number, end: number): void {
    const text = piece.slice(start, end);
    let id = this.ids.get(text);
    if (id === undefined) {
      if (this.byteFallback && this.addBytes(tokens, text, start, end)) return;
      if (this.unknownId === null) throw missingUnknownToken("Unigram", null);
      id = this.unknownId;
      tokens.surfaces ??= new Map();
      tokens.surfaces.set(tokens.ids.length, text);
    }
    tokens.ids.push(id);
    tokens.starts.push(start);
    tokens.ends.push(end);
  }

  private addBytes(tokens: PieceTokens, text: string, start: number, end: number): boolean {
    const ids: number[] = [];
    for (const byte of encoder.encode(text)) {
      const id = this.ids.get(byteToken(byte));
      if (id === undefined) return false;
      ids.push(id);
    }
    for (const id of ids) {
      tokens.ids.push(id);
      tokens.starts.push(start);
      tokens.ends.push(end);
    }
    return true;
  }

  /** For every end in the piece, the best last token: where it starts, which it is, the score so far. */
  private search(piece: string): void {
    const { length } = piece;
    if (this.best.length <= length) {
      const capacity = Math.max(length + 1, this.best.length * 2);
      this.best = new Float64Array(capacity);
      this.from = new Int32Array(capacity);
      this.chosen = new Int32Array(capacity);
    }
    const { best, from, chosen, trie, scores } = this;
    from.fill(-1, 0, length + 1);
    best[0] = 0;
    for (let start = 0; start < length; ) {
      const code = piece.charCodeAt(start);
      const wide = code >= 0xd800 && code <= 0xdbff && start + 1 < length;
      const width = wide && piece.codePointAt(start)! > 0xffff ? 2 : 1;
      const base = best[start];
      let single = false;
      let node = 0;
      for (let unit = start; unit < length; unit++) {
        node = trie.child(node, piece.charCodeAt(unit));
        if (node < 0) break;
        const id = trie.value(node);
        if (id < 0) continue;
        const end = unit + 1;
        const score = scores[id] + base;
        if (from[end] < 0 || score > best[end]) {
          best[end] = score;
          from[end] = start;
          chosen[end] = id;
        }
        if (end - start === width) single = true;
      }
      if (!single) {
        if (this.unknownId === null) throw missingUnknownToken("Unigram", null);
        const end = start + width;
        const score = this.unknownScore + base;
        if (from[end] < 0 || score > best[end]) {
          best[end] = score;
          from[end] = start;
          chosen[end] = this.unknownId;
        }
      }
      start += width;
    }
  }

  tokenToId(token: string): number | undefined {
    return this.ids.get(token);
  }

  idToToken(id: number): string | undefined {
    return this.pieces[id]?.[0];
  }

  get size(): number {
    return this.pieces.length;
  }

  entries(): Iterable<[string, number]> {
    return this.ids;
  }
}

/** Reads `{"type": "Unigram", ...}`. */
export function readUnigram(reader: JsonReader): Model {
  const pieces = reader.array("vocab").map((entry, index): [string, number] => {
    const [piece, score, ...rest] = Array.isArray(entry) ? entry : [];
    if (typeof piece !== "string" || typeof score !== "number" || rest.length > 0) {
      throw Reader.invalid(reader.at(`vocab[${index}]`), "[token, score]", entry);
    }
    return [piece, score];
  });
  const unknown = reader.value("unk_id") ?? null;
  if (unknown !== null && (!isIdentifier(unknown) || unknown >= pieces.length)) {
    throw reader.fail("unk_id", `null or an id below ${pieces.length}`);
  }
  return new Unigram(pieces, unknown, reader.boolean("byte_fallback", false));
}
