import { NormalizedText } from "../normalized-text.js";
import type { Normalizer } from "../normalizers/normalizer.js";
import type { EmitPiece, PreTokenizer } from "../pre-tokenizers/pre-tokenizer.js";
import { wellFormed } from "../unicode.js";

/** How a {@link PieceCounter} cuts texts, and how much it remembers. */
export interface CountOptions {
  readonly normalizer: Normalizer | null;
  readonly preTokenizer: PreTokenizer;
  /** Pieces with more UTF-16 units are cut into parts of this length (`cut`) or left out (`drop`). */
  readonly longest: number;
  readonly tooLong: "cut" | "drop";
  /** When there are more distinct pieces than this, those that were seen least are forgotten; {@link mostCounts} by default. */
  readonly mostDistinct?: number;
}

/** A text; or one that counts as if it were there several times. */
export type CountedText = string | { readonly text: string; readonly times: number };

/** Distinct things whose counts are kept at a time: a map holds no more than 16 million. */
export const mostCounts = 4_000_000;

/**
 * Makes room in counts: entries that were seen at most `leastKept` times go, then twice as many, until `most` are left.
 *
 * @returns what to give as `leastKept` the next time; 1 the first time
 */
export function forgetRarest(counts: Map<string, number>, most: number, leastKept: number): number {
  let least = leastKept;
  while (counts.size > most) {
    for (const [key, seen] of counts) if (seen <= least) counts.delete(key);
    least *= 2;
  }
  return least;
}

/** Counts the pieces that texts are cut into. */
export interface PieceCounter {
  /** One entry for each distinct piece. */
  readonly counts: ReadonlyMap<string, number>;
  add(text: CountedText): void;
}

/** Counts pieces of texts that come one by one and are not kept, so a corpus may be larger than memory. */
export function pieceCounter(options: CountOptions): PieceCounter {
  const { normalizer, preTokenizer, longest, tooLong, mostDistinct = mostCounts } = options;
  const counts = new Map<string, number>();
  let leastKept = 1;
  let times = 1;
  const count = (piece: string): void => {
    const seen = counts.get(piece);
    // A copy for the map: a slice would keep the whole text alive.
    if (seen === undefined) counts.set(piece.length < 13 ? piece : ` ${piece}`.slice(1), times);
    else counts.set(piece, seen + times);
  };
  const emit: EmitPiece = (source, start, end) => {
    if (end - start <= longest) {
      count(source.text.slice(start, end));
    } else if (tooLong === "cut") {
      for (let from = start; from < end; ) {
        let to = Math.min(from + longest, end);
        const last = source.text.charCodeAt(to - 1);
        if (to < end && last >= 0xd800 && last <= 0xdbff) to--;
        count(source.text.slice(from, to));
        from = to;
      }
    }
  };
  return {
    counts,
    add(input) {
      const text = typeof input === "string" ? input : input.text;
      times = typeof input === "string" ? 1 : input.times;
      const source = new NormalizedText(wellFormed(text), 0, preTokenizer.needsAlignment ?? false);
      normalizer?.normalize(source);
      if (source.text !== "") preTokenizer.split(source, 0, source.text.length, emit);
      leastKept = forgetRarest(counts, mostDistinct, leastKept);
    },
  };
}
