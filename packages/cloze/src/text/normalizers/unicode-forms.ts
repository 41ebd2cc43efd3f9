import type { NormalizedText } from "../normalized-text.js";
import { normalizeForm, type UnicodeForm } from "../unicode.js";
import type { Normalizer } from "./normalizer.js";

/** Decomposed characters in canonical order; `inserted[i]` is 1 where a character brought more than one. */
interface Decomposition {
  characters: string[];
  inserted: number[];
}

function decompose(text: string, form: "NFD" | "NFKD"): Decomposition {
  const unordered: string[] = [];
  const flags: number[] = [];
  for (const character of text) {
    let first = true;
    for (const part of normalizeForm(character, form)) {
      unordered.push(part);
      flags.push(first ? 0 : 1);
      first = false;
    }
  }
  const characters = [...normalizeForm(text, form)];
  const inserted = matchFlags(characters, unordered, flags).map((matched) => flags[matched]);
  return { characters, inserted };
}

/** For each wanted character, the index of the first unused equal one; both lists hold the same characters. */
function matchFlags(wanted: readonly string[], available: readonly string[], flags: readonly number[]): number[] {
  const used = new Uint8Array(flags.length);
  const matched: number[] = [];
  let low = 0;
  for (const character of wanted) {
    while (low < used.length && used[low] === 1) low++;
    let at = low;
    while (at < available.length && (used[at] === 1 || available[at] !== character)) at++;
    if (at >= available.length) at = Math.min(low, available.length - 1);
    used[at] = 1;
    matched.push(at);
  }
  return matched;
}

/** One of the four Unicode normalization forms. */
export class UnicodeFormNormalizer implements Normalizer {
  readonly cutsAtSpaces = true;
  constructor(private readonly form: UnicodeForm) {}

  normalize(text: NormalizedText): void {
    const normalized = normalizeForm(text.text, this.form);
    if (normalized === text.text) return;
    if (!text.tracked) {
      text.text = normalized;
      return;
    }
    const base = this.form === "NFC" || this.form === "NFD" ? "NFD" : "NFKD";
    const { characters, inserted } = decompose(text.text, base);
    if (this.form === base) {
      text.applyChanges(characters, inserted);
      return;
    }
    this.compose(text, normalized, characters, inserted, base);
  }

  /** A composed character takes the place of all that it was composed of. */
  private compose(
    text: NormalizedText,
    normalized: string,
    parts: string[],
    inserted: number[],
    base: "NFD" | "NFKD",
  ): void {
    const composed = [...normalized];
    const pieces = composed.map((character) => [...normalizeForm(character, base)]);
    const matched = matchFlags(pieces.flat(), parts, inserted);
    const changes: number[] = [];
    let next = 0;
    for (const piece of pieces) {
      let change = 1 - piece.length;
      for (let part = 0; part < piece.length; part++) change += inserted[matched[next++]];
      changes.push(change);
    }
    text.applyChanges(composed, changes);
  }
}
