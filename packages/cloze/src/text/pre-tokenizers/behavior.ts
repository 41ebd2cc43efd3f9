import type { NormalizedText } from "../normalized-text.js";
import type { Ranges } from "../pattern.js";
import type { EmitPiece } from "./pre-tokenizer.js";

/** What happens to the text that a pattern matched. */
export const SPLIT_BEHAVIORS = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"] as const;

/** One of {@link SPLIT_BEHAVIORS}. */
export type SplitBehavior = (typeof SPLIT_BEHAVIORS)[number];

/**
 * Cuts a range of a text by the matches of a pattern in it.
 *
 * @param matches ranges relative to `start`.
 * @param invert whether matches and what is between them change places; false by default.
 */
export function splitByMatches(
  source: NormalizedText,
  start: number,
  end: number,
  matches: Ranges,
  behavior: SplitBehavior,
  emit: EmitPiece,
  invert = false,
): void {
  const pieces: [number, number, boolean][] = [];
  let at = 0;
  for (const [from, to] of matches) {
    if (from > at) pieces.push([at, from, invert]);
    pieces.push([from, to, !invert]);
    at = to;
  }
  if (at < end - start) pieces.push([at, end - start, invert]);
  const merged = behavior === "Removed" || behavior === "Isolated" ? pieces : merge(pieces, behavior);
  for (const [from, to, isMatch] of merged) {
    if (to > from && !(behavior === "Removed" && isMatch)) emit(source, start + from, start + to);
  }
}

function merge(pieces: [number, number, boolean][], behavior: SplitBehavior): [number, number, boolean][] {
  const merged: [number, number, boolean][] = [];
  let previousMatched = false;
  const backwards = behavior === "MergedWithNext";
  const ordered = backwards ? pieces.reverse() : pieces;
  for (const piece of ordered) {
    const last = merged.at(-1);
    const joins = behavior === "Contiguous" ? piece[2] === previousMatched : piece[2] && !previousMatched;
    if (joins && last) {
      if (backwards) last[0] = piece[0];
      else last[1] = piece[1];
    } else {
      merged.push([piece[0], piece[1], false]);
    }
    previousMatched = piece[2];
  }
  return backwards ? merged.reverse() : merged;
}

/** The ranges of characters of a set, each by itself. */
export function characterMatches(text: string, isMatch: (codePoint: number) => boolean): Ranges {
  const matches: Ranges = [];
  for (let unit = 0; unit < text.length; ) {
    const code = text.codePointAt(unit)!;
    const next = unit + (code > 0xffff ? 2 : 1);
    if (isMatch(code)) matches.push([unit, next]);
    unit = next;
  }
  return matches;
}
