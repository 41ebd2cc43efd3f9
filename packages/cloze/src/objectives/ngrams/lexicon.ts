// N-grams that stand together more often than chance has it (the t-test of ERNIE-GEN and ERNIE-Gram, arXiv 2010.12148).

import { readFileSync } from "node:fs";
import { writeFileAtomic } from "@cloze/tensor";
import { z } from "zod";
import { ClozeError } from "../../errors.js";
import { forgetRarest, mostCounts } from "../../text/trainers/count-pieces.js";

/** An n-gram as a unit of prediction. */
export interface NgramEntry {
  readonly ids: readonly number[];
  readonly count: number;
  /** How far its share lies above that of independent tokens, in standard errors. */
  readonly score: number;
}

/** N-grams by their ids; entry i is the identity i. */
export interface NgramLexicon {
  readonly entries: readonly NgramEntry[];
  /** Longest entry, in tokens. */
  readonly longest: number;
  /** The number of an n-gram; undefined where it is none. */
  find(ids: ArrayLike<number>, start: number, length: number): number | undefined;
}

export interface NgramLexiconOptions {
  /** Lengths that are counted. Default [2, 3]. */
  n?: readonly number[];
  /** Entries in all; two thirds of them of the first length, the rest of the others. Default 3000. */
  size?: number;
  /** Rarer n-grams are left out. Default 3. */
  minimumCount?: number;
  /**
   * An n-gram that stands inside one longer n-gram in this share of its places is left out: it is no phrase of its own.
   * Default: none is.
   */
  dropContained?: number;
  /** Tokens that no n-gram has: special tokens, punctuation, unknown words. */
  excluded?: ReadonlySet<number>;
}

const keyOf = (ids: ArrayLike<number>, start: number, length: number): string => {
  let key = String(ids[start]);
  for (let i = 1; i < length; i++) key += ` ${ids[start + i]}`;
  return key;
};

/** A lexicon of entries, in their order. */
export function ngramLexicon(entries: readonly NgramEntry[]): NgramLexicon {
  const byKey = new Map(entries.map(({ ids }, i) => [keyOf(ids, 0, ids.length), i]));
  return {
    entries,
    longest: entries.reduce((most, { ids }) => Math.max(most, ids.length), 1),
    find: (ids, start, length) => byKey.get(keyOf(ids, start, length)),
  };
}

/**
 * t = (p - p') / sqrt(p (1 - p) / N), where p is the share of the n-gram among the N of its length, and p' the product of
 * its tokens' shares.
 */
export function ngramScore(count: number, total: number, shares: readonly number[]): number {
  const p = count / total;
  const independent = shares.reduce((product, share) => product * share, 1);
  return (p - independent) / Math.sqrt((p * (1 - p)) / total);
}

/** Makes a lexicon of sentences that are added one by one: from a stream, say. */
export interface NgramLexiconBuilder {
  /** Token ids of a sentence: n-grams do not cross its ends. */
  add(sentence: ArrayLike<number>): void;
  /** @throws LEXICON_EMPTY where nothing is frequent enough */
  finish(): NgramLexicon;
}

/** What {@link buildNgramLexicon} does, for sentences that come one by one. */
export function ngramLexiconBuilder({
  n = [2, 3],
  size = 3000,
  minimumCount = 3,
  dropContained,
  excluded = new Set(),
}: NgramLexiconOptions = {}): NgramLexiconBuilder {
  const unigrams = new Map<number, number>();
  const counts = n.map(() => new Map<string, number>());
  const totals = n.map(() => 0);
  const leastKept = n.map(() => 1);
  let tokens = 0;
  return {
    add(ids) {
      tokens += ids.length;
      for (let i = 0; i < ids.length; i++) unigrams.set(ids[i], (unigrams.get(ids[i]) ?? 0) + 1);
      n.forEach((length, order) => {
        for (let start = 0; start + length <= ids.length; start++) {
          let allowed = true;
          for (let i = start; i < start + length && allowed; i++) allowed = !excluded.has(ids[i]);
          if (!allowed) continue;
          totals[order]++;
          const key = keyOf(ids, start, length);
          counts[order].set(key, (counts[order].get(key) ?? 0) + 1);
        }
        leastKept[order] = forgetRarest(counts[order], mostCounts, leastKept[order]);
      });
    },
    finish: () =>
      ngramLexicon(bestNgrams({ unigrams, counts, totals, tokens }, { n, size, minimumCount, dropContained })),
  };
}

/**
 * Counts n-grams of sentences (they do not cross their ends) and keeps the best by t-test; lengths are ranked apart. Sentences
 * are read once, one by one; of more than four million n-grams of a length the rarest are forgotten.
 *
 * @throws LEXICON_EMPTY where nothing is frequent enough
 * @example
 * const lexicon = buildNgramLexicon(sentences, { n: [2, 3], size: 3000 });
 */
export function buildNgramLexicon(
  sentences: Iterable<ArrayLike<number>>,
  options: NgramLexiconOptions = {},
): NgramLexicon {
  const builder = ngramLexiconBuilder(options);
  for (const sentence of sentences) builder.add(sentence);
  return builder.finish();
}

/** What was counted: tokens, and for each length its n-grams and how many there were. */
interface NgramCounts {
  readonly unigrams: ReadonlyMap<number, number>;
  readonly counts: readonly ReadonlyMap<string, number>[];
  readonly totals: readonly number[];
  readonly tokens: number;
}

/** The n-grams of a lexicon, the best of each length first. */
function bestNgrams(
  { unigrams, counts, totals, tokens }: NgramCounts,
  {
    n,
    size,
    minimumCount,
    dropContained,
  }: Required<Pick<NgramLexiconOptions, "n" | "size" | "minimumCount">> & NgramLexiconOptions,
): NgramEntry[] {
  /** How often each n-gram stands inside its most frequent longer one. */
  const inside = new Map<string, number>();
  if (dropContained !== undefined) {
    counts.forEach((found) => {
      for (const [key, count] of found) {
        const parts = key.split(" ");
        for (let length = 2; length < parts.length; length++) {
          for (let start = 0; start + length <= parts.length; start++) {
            const part = parts.slice(start, start + length).join(" ");
            inside.set(part, Math.max(inside.get(part) ?? 0, count));
          }
        }
      }
    });
  }
  const entries = n.flatMap((_, order) => {
    const most = n.length === 1 ? size : Math.round(order === 0 ? (size * 2) / 3 : size / 3 / (n.length - 1));
    return [...counts[order]]
      .filter(([key, count]) => count >= minimumCount && !((inside.get(key) ?? 0) >= (dropContained ?? 2) * count))
      .map(([key, count]): NgramEntry => {
        const ids = key.split(" ").map(Number);
        const shares = ids.map((id) => (unigrams.get(id) as number) / tokens);
        return { ids, count, score: ngramScore(count, totals[order], shares) };
      })
      .filter(({ score }) => score > 0)
      .sort((a, b) => b.score - a.score || b.count - a.count || (a.ids < b.ids ? -1 : 1))
      .slice(0, most);
  });
  if (entries.length === 0) {
    throw new ClozeError("LEXICON_EMPTY", "No n-gram is frequent enough for the lexicon", {
      expected: `n-grams that come at least ${minimumCount} times`,
      received: `${tokens} tokens`,
      remedy: "Give more text, or lower minimumCount.",
    });
  }
  return entries;
}

/**
 * Cuts a sentence into as few pieces as can be, each an n-gram of the lexicon or a token (shortest path; among equal ones
 * the first piece that can be longest).
 *
 * @returns starts of the pieces, and the length as the last number
 */
export function segmentNgrams(ids: ArrayLike<number>, lexicon: NgramLexicon, start = 0, end = ids.length): number[] {
  // pieces[i]: how few pieces what stands from i on needs.
  const pieces = new Int32Array(end - start + 1);
  const take = new Int32Array(end - start);
  for (let i = end - start - 1; i >= 0; i--) {
    pieces[i] = pieces[i + 1] + 1;
    take[i] = 1;
    for (let length = 2; length <= lexicon.longest && i + length <= end - start; length++) {
      if (pieces[i + length] + 1 > pieces[i] || lexicon.find(ids, start + i, length) === undefined) continue;
      pieces[i] = pieces[i + length] + 1;
      take[i] = length;
    }
  }
  const starts: number[] = [];
  for (let i = 0; i < end - start; i += take[i]) starts.push(start + i);
  return [...starts, end];
}

/**
 * Whether any n-gram of a lexicon stands in texts; the first one ends the search.
 *
 * @param mostTokens looked at, at most. Default 10 million.
 */
export function standsIn(lexicon: NgramLexicon, texts: Iterable<ArrayLike<number>>, mostTokens = 10_000_000): boolean {
  const lengths = [...new Set(lexicon.entries.map(({ ids }) => ids.length))];
  let seen = 0;
  for (const ids of texts) {
    for (let start = 0; start < ids.length; start++) {
      if (lengths.some((n) => start + n <= ids.length && lexicon.find(ids, start, n) !== undefined)) return true;
    }
    seen += ids.length;
    if (seen >= mostTokens) break;
  }
  return false;
}

const schema = z.strictObject({
  version: z.literal(1),
  entries: z.array(z.strictObject({ ids: z.array(z.int().min(0)).min(2), count: z.int(), score: z.number() })).min(1),
});

/** Writes a lexicon as JSON. */
export function saveNgramLexicon(lexicon: NgramLexicon, path: string): void {
  writeFileAtomic(path, `${JSON.stringify({ version: 1, entries: lexicon.entries })}\n`);
}

/** Reads what `saveNgramLexicon` wrote. @throws LEXICON_INVALID */
export function loadNgramLexicon(path: string): NgramLexicon {
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(path, "utf8"));
  } catch (cause) {
    throw new ClozeError("LEXICON_INVALID", `${path} holds no n-gram lexicon`, {
      cause,
      remedy: "Make one with cloze lexicon.",
    });
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return ngramLexicon(parsed.data.entries);
  throw new ClozeError("LEXICON_INVALID", `${path} holds no n-gram lexicon`, {
    received: parsed.error.issues[0].message,
    remedy: "Make one with buildNgramLexicon.",
  });
}
