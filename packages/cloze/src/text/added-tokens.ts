import type { JsonReader } from "./json-reader.js";
import type { Model } from "./models/model.js";
import { NormalizedText } from "./normalized-text.js";
import type { Normalizer } from "./normalizers/normalizer.js";
import { Trie } from "./trie.js";
import { isWhitespace, isWordCharacter } from "./unicode.js";

/** A token that is looked for in the text before the model cuts it: `[MASK]`, `<s>`, and whatever a user added. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  /** Only where no word character stands next to it. */
  readonly singleWord: boolean;
  /** Takes the white space before it along. */
  readonly leftStrip: boolean;
  /** Takes the white space after it along. */
  readonly rightStrip: boolean;
  /** Looked for in the normalized text, in its normalized form, rather than in the text as it came. */
  readonly normalized: boolean;
  /** Left out by `decode(ids, { skipSpecialTokens: true })`. */
  readonly special: boolean;
}

/** A piece of a text: an added token, or what stands between them (`token` is null). */
export interface AddedTokenMatch {
  readonly start: number;
  readonly end: number;
  readonly token: AddedToken | null;
}

/** Finds added tokens in a text: the leftmost, and of those that begin there the longest. */
export class AddedTokenMatcher {
  private readonly trie = new Trie();
  private readonly tokens: AddedToken[] = [];
  /** 1 for the code units that a token begins with. */
  private readonly firsts = new Uint8Array(65536);

  /** @param patterns what to look for, and the token that it stands for. */
  constructor(patterns: Iterable<readonly [string, AddedToken]>) {
    for (const [pattern, token] of patterns) {
      if (pattern === "") continue;
      this.trie.add(pattern, this.tokens.length);
      this.firsts[pattern.charCodeAt(0)] = 1;
      this.tokens.push(token);
    }
  }

  /** Whether there is nothing to find. */
  get isEmpty(): boolean {
    return this.tokens.length === 0;
  }

  /** The pieces of a text, from left to right; null where there is no added token in it. */
  split(text: string): AddedTokenMatch[] | null {
    if (this.tokens.length === 0) return null;
    let pieces: AddedTokenMatch[] | null = null;
    let done = 0;
    for (let unit = 0; unit < text.length; ) {
      if (this.firsts[text.charCodeAt(unit)] === 0) {
        unit++;
        continue;
      }
      const [index, matchEnd] = this.longest(text, unit);
      if (index < 0) {
        unit++;
        continue;
      }
      const token = this.tokens[index];
      let start = unit;
      let end = matchEnd;
      unit = matchEnd;
      if (token.singleWord && touchesWord(text, start, end)) continue;
      if (token.leftStrip) {
        while (start > 0 && isWhitespace(text.charCodeAt(start - 1))) start--;
        start = Math.max(start, done);
      }
      if (token.rightStrip) while (end < text.length && isWhitespace(text.charCodeAt(end))) end++;
      pieces ??= [];
      if (done < start) pieces.push({ start: done, end: start, token: null });
      pieces.push({ start, end, token });
      done = end;
    }
    if (pieces && done < text.length) pieces.push({ start: done, end: text.length, token: null });
    return pieces;
  }

  private longest(text: string, start: number): [number, number] {
    let found = -1;
    let end = start;
    let node = 0;
    for (let unit = start; unit < text.length; unit++) {
      node = this.trie.child(node, text.charCodeAt(unit));
      if (node < 0) break;
      const value = this.trie.value(node);
      if (value >= 0) {
        found = value;
        end = unit + 1;
      }
    }
    return [found, end];
  }
}

function touchesWord(text: string, start: number, end: number): boolean {
  if (end < text.length && isWordCharacter(text.codePointAt(end)!)) return true;
  if (start === 0) return false;
  const before = text.charCodeAt(start - 1);
  const low = before >= 0xdc00 && before <= 0xdfff && start > 1;
  return isWordCharacter(low ? text.codePointAt(start - 2)! : before);
}

/** The tokens that were added to a model's vocabulary, and how they are found. */
export interface AddedVocabulary {
  readonly byContent: ReadonlyMap<string, AddedToken>;
  readonly byId: ReadonlyMap<number, AddedToken>;
  /** Finds tokens in the text as it came. */
  readonly raw: AddedTokenMatcher;
  /** Finds tokens in the normalized text. */
  readonly normalized: AddedTokenMatcher;
  /** How a token reads after normalization, where that differs: what the decoder gets. */
  readonly normalizedForms: ReadonlyMap<number, string>;
}

/** Reads `added_tokens`; the ids there are those of the model, or the next free ones, in order. */
export function readAddedTokens(reader: JsonReader, model: Model, normalizer: Normalizer | null): AddedVocabulary {
  const byContent = new Map<string, AddedToken>();
  const byId = new Map<number, AddedToken>();
  let next = model.size;
  for (const entry of reader.readers("added_tokens", [])) {
    const content = entry.string("content");
    entry.integer("id", 0);
    if (content === "") continue;
    const id = byContent.get(content)?.id ?? model.tokenToId(content) ?? next++;
    const special = entry.boolean("special", false);
    const token: AddedToken = {
      id,
      content,
      singleWord: entry.boolean("single_word", false),
      leftStrip: entry.boolean("lstrip", false),
      rightStrip: entry.boolean("rstrip", false),
      normalized: entry.boolean("normalized", !special),
      special,
    };
    byContent.set(content, token);
    byId.set(id, token);
  }
  const normalizedForms = new Map<number, string>();
  for (const { id, content, normalized } of byId.values()) {
    if (!normalized || !normalizer) continue;
    const text = new NormalizedText(content, 0, false);
    normalizer.normalize(text);
    if (text.text !== content) normalizedForms.set(id, text.text);
  }
  const patterns = (normalized: boolean): [string, AddedToken][] =>
    [...byId.values()]
      .filter((token) => token.normalized === normalized)
      .map((token) => [normalizedForms.get(token.id) ?? token.content, token]);
  return {
    byContent,
    byId,
    raw: new AddedTokenMatcher(patterns(false)),
    normalized: new AddedTokenMatcher(patterns(true)),
    normalizedForms,
  };
}
