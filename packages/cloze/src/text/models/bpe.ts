import { ClozeError } from "../../errors.js";
import { byteToUnit } from "../byte-alphabet.js";
import type { JsonReader } from "../json-reader.js";
import { MinHeap } from "../min-heap.js";
import { PairTable } from "../pair-table.js";
import { emptyTokens, type Model, type PieceTokens } from "./model.js";
import { missingUnknownToken, Vocabulary } from "./vocabulary.js";

/** Options of {@link Bpe}. */
export interface BpeOptions {
  /** What stands for a character that the vocabulary lacks; none by default, which leaves such characters out. */
  unknownToken?: string | null;
  /** What marks a token that does not begin a word; none by default. */
  continuingPrefix?: string | null;
  /** What marks a token that ends a word; none by default. */
  endSuffix?: string | null;
  /** Whether unknown characters in a row are one token; false by default. */
  fuseUnknown?: boolean;
  /** Whether an unknown character becomes its bytes, `<0x00>` to `<0xFF>`; false by default. */
  byteFallback?: boolean;
  /** Whether a piece that is in the vocabulary is a token without any merging; false by default. */
  ignoreMerges?: boolean;
}

const encoder = new TextEncoder();

/** `BPE`: characters, merged pair by pair in the order that the merges were learnt. */
export class Bpe implements Model {
  private readonly pairs: PairTable;
  private readonly merged: Int32Array;
  private readonly prefix: string;
  private readonly suffix: string;
  private readonly unknownToken: string | null;
  private readonly heap = new MinHeap();
  private symbols = new Int32Array(64);
  private lengths = new Int32Array(64);
  private next = new Int32Array(64);
  private previous = new Int32Array(64);
  private count = 0;

  /**
   * @param merges pairs of tokens, the first learnt first.
   * @throws ClozeError `TOKENIZER_INVALID_MERGE` for a merge whose parts or result are not in the vocabulary.
   */
  constructor(
    private readonly vocabulary: Vocabulary,
    merges: readonly (readonly [string, string])[],
    private readonly options: BpeOptions = {},
  ) {
    this.prefix = options.continuingPrefix ?? "";
    this.suffix = options.endSuffix ?? "";
    this.unknownToken = options.unknownToken ?? null;
    this.pairs = new PairTable(merges.length);
    const results: number[] = [];
    const ranks: number[] = [];
    merges.forEach(([left, right], rank) => {
      const leftId = vocabulary.ids.get(left);
      const rightId = vocabulary.ids.get(right);
      const result = vocabulary.ids.get(left + right.slice(this.prefix.length));
      if (leftId === undefined || rightId === undefined || result === undefined) {
        throw new ClozeError("TOKENIZER_INVALID_MERGE", `Merge ${rank} uses tokens that are not in the vocabulary.`, {
          expected: "both parts and what they make in model.vocab",
          received: JSON.stringify([left, right]),
          remedy: "Save the tokenizer again: the vocabulary and the merges do not belong together.",
        });
      }
      const index = this.pairs.add(leftId, rightId);
      ranks[index] = rank;
      results[index] = result;
    });
    this.merged = Int32Array.from(results);
    this.ranks = Int32Array.from(ranks);
  }

  private readonly ranks: Int32Array;

  tokenize(piece: string): PieceTokens {
    if (this.options.ignoreMerges) {
      const whole = this.vocabulary.ids.get(piece);
      if (whole !== undefined) return { ids: [whole], starts: [0], ends: [piece.length], surfaces: null };
    }
    const inBytes = this.fill(piece);
    if (this.count > 24) this.mergeWithHeap();
    else this.mergeByScan();
    return this.collect(piece, inBytes);
  }

  /** Splits a piece into its first symbols. Returns whether their lengths are counted in bytes. */
  private fill(piece: string): boolean {
    this.count = 0;
    let unknownId = -1;
    let unknownLength = 0;
    let ascii = true;
    for (let unit = 0; unit < piece.length && ascii; unit++) ascii = piece.charCodeAt(unit) < 128;
    // Lengths in UTF-16 units do while no symbol is shorter than a character.
    const inBytes = !ascii && (this.options.byteFallback === true || this.unknownToken === null);
    for (let unit = 0; unit < piece.length; ) {
      const code = piece.codePointAt(unit)!;
      const width = code > 0xffff ? 2 : 1;
      let text = width === 1 ? piece[unit] : piece.slice(unit, unit + 2);
      const length = !inBytes ? width : code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
      if (unit > 0) text = this.prefix + text;
      unit += width;
      if (unit === piece.length) text += this.suffix;
      const id = this.vocabulary.ids.get(text);
      if (id !== undefined) {
        if (unknownId >= 0) this.push(unknownId, unknownLength);
        unknownId = -1;
        this.push(id, length);
        continue;
      }
      if (this.options.byteFallback && this.pushBytes(text)) continue;
      if (this.unknownToken === null) continue;
      if (unknownId >= 0 && this.options.fuseUnknown) {
        unknownLength += length;
        continue;
      }
      if (unknownId >= 0) this.push(unknownId, unknownLength);
      const found = this.vocabulary.ids.get(this.unknownToken);
      if (found === undefined) throw missingUnknownToken("BPE", this.unknownToken);
      unknownId = found;
      unknownLength = length;
    }
    if (unknownId >= 0) this.push(unknownId, unknownLength);
    return inBytes;
  }

  private pushBytes(text: string): boolean {
    const ids: number[] = [];
    for (const byte of encoder.encode(text)) {
      const id = this.vocabulary.ids.get(byteToken(byte));
      if (id === undefined) return false;
      ids.push(id);
    }
    for (const id of ids) this.push(id, 1);
    return true;
  }

  private push(id: number, length: number): void {
    const at = this.count++;
    if (at >= this.symbols.length) {
      const grow = (old: Int32Array): Int32Array<ArrayBuffer> => {
        const longer = new Int32Array(old.length * 2);
        longer.set(old);
        return longer;
      };
      this.symbols = grow(this.symbols);
      this.lengths = grow(this.lengths);
      this.next = grow(this.next);
      this.previous = grow(this.previous);
    }
    this.symbols[at] = id;
    this.lengths[at] = length;
  }

  /** Few symbols: look for the best pair again after each merge. */
  private mergeByScan(): void {
    const { symbols, lengths, pairs, ranks } = this;
    const found = this.next;
    for (let at = 0; at + 1 < this.count; at++) found[at] = pairs.find(symbols[at], symbols[at + 1]);
    for (;;) {
      let best = -1;
      let bestRank = 2147483647;
      for (let at = 0; at + 1 < this.count; at++) {
        const pair = found[at];
        if (pair >= 0 && ranks[pair] < bestRank) {
          bestRank = ranks[pair];
          best = at;
        }
      }
      if (best < 0) return;
      symbols[best] = this.merged[found[best]];
      lengths[best] += lengths[best + 1];
      this.count--;
      for (let at = best + 1; at < this.count; at++) {
        symbols[at] = symbols[at + 1];
        lengths[at] = lengths[at + 1];
        found[at] = found[at + 1];
      }
      if (best + 1 < this.count) found[best] = pairs.find(symbols[best], symbols[best + 1]);
      if (best > 0) found[best - 1] = pairs.find(symbols[best - 1], symbols[best]);
    }
  }

  /** Many symbols: a linked list, and a heap of the pairs by rank and place. */
  private mergeWithHeap(): void {
    const { symbols, lengths, next, previous, pairs, heap } = this;
    heap.size = 0;
    const offer = (at: number): void => {
      const right = next[at];
      if (right < 0) return;
      const pair = pairs.find(symbols[at], symbols[right]);
      if (pair >= 0) heap.push(this.ranks[pair], at, this.merged[pair]);
    };
    for (let at = 0; at < this.count; at++) {
      next[at] = at + 1 < this.count ? at + 1 : -1;
      previous[at] = at - 1;
    }
    for (let at = 0; at < this.count; at++) offer(at);
    while (heap.pop()) {
      const at = heap.second;
      const right = next[at];
      if (symbols[at] < 0 || right < 0) continue;
      const pair = pairs.find(symbols[at], symbols[right]);
      if (pair < 0 || this.merged[pair] !== heap.payload) continue;
      symbols[at] = heap.payload;
      lengths[at] += lengths[right];
      symbols[right] = -1;
      next[at] = next[right];
      if (next[at] >= 0) previous[next[at]] = at;
      if (previous[at] >= 0) offer(previous[at]);
      offer(at);
    }
    let kept = 0;
    for (let at = 0; at >= 0 && at < this.count; at = next[at]) {
      symbols[kept] = symbols[at];
      lengths[kept] = lengths[at];
      // The link of `at` is read before the place is written over: kept never passes at.
      kept++;
    }
    this.count = kept;
  }

  private collect(piece: string, inBytes: boolean): PieceTokens {
    const tokens = emptyTokens();
    const map = inBytes ? byteToUnit(piece) : null;
    let offset = 0;
    for (let at = 0; at < this.count; at++) {
      const end = offset + this.lengths[at];
      tokens.ids.push(this.symbols[at]);
      tokens.starts.push(map ? map.starts[offset] : offset);
      tokens.ends.push(map ? map.ends[end - 1] : end);
      offset = end;
    }
    return tokens;
  }

  tokenToId(token: string): number | undefined {
    return this.vocabulary.ids.get(token);
  }

  idToToken(id: number): string | undefined {
    return this.vocabulary.token(id);
  }

  get size(): number {
    return this.vocabulary.size;
  }

  entries(): Iterable<[string, number]> {
    return this.vocabulary.ids;
  }
}

/** How byte-fallback vocabularies write a byte: `<0x0A>`. */
export function byteToken(byte: number): string {
  return `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`;
}

function readMerges(reader: JsonReader): [string, string][] {
  return reader.array("merges").map((merge, index) => {
    const parts = typeof merge === "string" ? merge.split(" ") : merge;
    if (!Array.isArray(parts) || parts.length !== 2 || typeof parts[0] !== "string" || typeof parts[1] !== "string") {
      throw reader.fail("merges", `two tokens at [${index}], as "a b" or ["a", "b"]`);
    }
    return [parts[0], parts[1]];
  });
}

/** Reads `{"type": "BPE", ...}`. Dropout belongs to training and is not applied. */
export function readBpe(reader: JsonReader): Model {
  return new Bpe(Vocabulary.read(reader, "vocab"), readMerges(reader), {
    unknownToken: reader.optionalString("unk_token"),
    continuingPrefix: reader.optionalString("continuing_subword_prefix"),
    endSuffix: reader.optionalString("end_of_word_suffix"),
    fuseUnknown: reader.boolean("fuse_unk", false),
    byteFallback: reader.boolean("byte_fallback", false),
    ignoreMerges: reader.boolean("ignore_merges", false),
  });
}
