// Hard negatives: documents that an index finds for a query and that do not answer it.
import { scope, tensor } from "@cloze/tensor";
import { randomOrder, randomSource } from "../../data/random-source.js";
import { createExactIndex } from "../../retrieval/exact.js";
import type { SearchHit } from "../../retrieval/search-hit.js";
import { topScores } from "../../retrieval/top-scores.js";
import type { Embedder } from "../embedder.js";
import { unitRows, vectorsOfTexts } from "../evaluation/evaluator.js";
import { emptyCounts } from "../text-roles.js";
import type { TextPair } from "../training/rows.js";

export interface HardNegativeOptions {
  /** Negatives of a pair. Default 3. */
  negatives?: number;
  /** Pass the first so many hits over: they often answer the query too. Default 0. */
  rangeMin?: number;
  /** Look at so many hits. Default 10 x negatives + rangeMin. */
  rangeMax?: number;
  /** Leave out hits that score above, or below. Default: none. */
  maxScore?: number;
  minScore?: number;
  /** A negative scores at least this much less than the worst of the query's positives. */
  absoluteMargin?: number;
  /** A negative scores at most (1 - relativeMargin) times the worst of the query's positives: 0.05 is TopK-PercPos 95 %. */
  relativeMargin?: number;
  /** "top": the best of what is left; "random": any of it. Default "top". */
  sampling?: "top" | "random";
  /** For "random". Default 1. */
  seed?: number;
  /** Scores a query's documents anew, such as a cross-encoder: margins and bounds then go by these scores. */
  rescore?: (query: string, documents: readonly string[]) => readonly number[] | Promise<readonly number[]>;
  /** Called with the number of queries done. */
  onProgress?: (done: number, total: number) => void;
}

/** A pair with its negatives, best first, and the scores of all. */
export interface MinedPair extends TextPair {
  readonly negatives: readonly string[];
  /** Of the document, then of each negative. */
  readonly scores: readonly number[];
}

/** Where candidates went. */
export interface MiningCounts {
  queries: number;
  candidates: number;
  /** Hits that are known to answer their query. */
  positives: number;
  aboveMargin: number;
  aboveMaximum: number;
  belowMinimum: number;
  /** Negatives given, and pairs that got fewer than were asked for. */
  negatives: number;
  shortPairs: number;
  /** Texts that were searched by their beginnings: what is beyond the embedder's limit was left out. */
  truncatedTexts: number;
}

/**
 * Finds hard negatives for pairs in a corpus (default: all documents of the pairs): the documents nearest to a query, without
 * those that answer it in any pair, and without those that come too near to its positives.
 *
 * @example
 * const { pairs } = await mineHardNegatives(embedder, train, { negatives: 5, relativeMargin: 0.05 });
 * await trainEmbedder(embedder, pairs, { loss: "multiple-negatives", epochs: 1 });
 */
export async function mineHardNegatives(
  embedder: Embedder,
  given: readonly TextPair[],
  { corpus, ...options }: HardNegativeOptions & { corpus?: readonly string[] } = {},
): Promise<{ pairs: MinedPair[]; counts: MiningCounts }> {
  const { negatives = 3, rangeMin = 0, sampling = "top", seed = 1, rescore, onProgress } = options;
  const rangeMax = options.rangeMax ?? 10 * negatives + rangeMin;
  const documents = [...new Set([...(corpus ?? []), ...given.map(({ document }) => document)])];
  const numbers = new Map(documents.map((text, i) => [text, i]));
  const answers = new Map<string, Set<number>>();
  for (const { query, document } of given) {
    const known = answers.get(query) ?? new Set<number>();
    known.add(numbers.get(document) as number);
    answers.set(query, known);
  }
  const queries = [...answers.keys()];
  const { width } = embedder;
  const texts = emptyCounts();
  const found = unitRows(await vectorsOfTexts(embedder, documents, { role: "document", counts: texts }), width);
  const asked = unitRows(await vectorsOfTexts(embedder, queries, { role: "query", counts: texts }), width);
  const counts: MiningCounts = {
    queries: queries.length,
    candidates: 0,
    positives: 0,
    aboveMargin: 0,
    aboveMaximum: 0,
    belowMinimum: 0,
    negatives: 0,
    shortPairs: 0,
    truncatedTexts: texts.truncatedTexts,
  };

  /** The nearest documents of each query, and the scores of those that answer it. */
  const hits: SearchHit[][] = [];
  const positiveScores: Map<number, number>[] = [];
  scope(() => {
    const index = createExactIndex(tensor(found, [documents.length, width]));
    index.forEachScores(tensor(asked, [queries.length, width]), (query, scores) => {
      const own = answers.get(queries[query]) as Set<number>;
      hits.push(topScores(scores, rangeMax + own.size));
      positiveScores.push(new Map([...own].map((document) => [document, scores[document]])));
    });
    index.dispose();
  });

  const chosen = new Map<string, readonly SearchHit[]>();
  for (const [query, text] of queries.entries()) {
    const own = answers.get(text) as Set<number>;
    let candidates = hits[query];
    counts.candidates += candidates.length;
    if (rescore !== undefined) {
      const all = [...own, ...candidates.map(({ index }) => index)];
      const scores = await rescore(
        text,
        all.map((document) => documents[document]),
      );
      [...own].forEach((document, i) => {
        positiveScores[query].set(document, scores[i]);
      });
      candidates = candidates.map(({ index }, i) => ({ index, score: scores[own.size + i] }));
    }
    const worst = Math.min(...positiveScores[query].values());
    const limit = Math.min(
      options.absoluteMargin === undefined ? Number.POSITIVE_INFINITY : worst - options.absoluteMargin,
      options.relativeMargin === undefined
        ? Number.POSITIVE_INFINITY
        : worst - Math.abs(worst) * options.relativeMargin,
    );
    const left = candidates.filter(({ index, score }) => {
      const reason = own.has(index)
        ? "positives"
        : score > limit
          ? "aboveMargin"
          : score > (options.maxScore ?? Number.POSITIVE_INFINITY)
            ? "aboveMaximum"
            : score < (options.minScore ?? Number.NEGATIVE_INFINITY)
              ? "belowMinimum"
              : undefined;
      if (reason !== undefined) counts[reason]++;
      return reason === undefined;
    });
    const ordered = left.sort((a, b) => b.score - a.score || a.index - b.index).slice(rangeMin, rangeMax);
    const places =
      sampling === "top"
        ? ordered.slice(0, negatives)
        : [...randomOrder(ordered.length, randomSource(seed, query)).subarray(0, negatives)]
            .sort((a, b) => a - b)
            .map((i) => ordered[i]);
    chosen.set(text, places);
    onProgress?.(query + 1, queries.length);
  }
  const places = new Map(queries.map((text, i) => [text, i]));
  const pairs = given.map(({ query, document }): MinedPair => {
    const picked = chosen.get(query) as readonly SearchHit[];
    const own = positiveScores[places.get(query) as number];
    counts.negatives += picked.length;
    counts.shortPairs += Number(picked.length < negatives);
    return {
      query,
      document,
      negatives: picked.map(({ index }) => documents[index]),
      scores: [own.get(numbers.get(document) as number) as number, ...picked.map(({ score }) => score)],
    };
  });
  return { pairs, counts };
}
