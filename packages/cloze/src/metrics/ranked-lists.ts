// Lists of answers, best first, against judgements: the figures of retrieval benchmarks (trec_eval's definitions).
import { ClozeError } from "../errors.js";
import { discountedGain, type GainOptions } from "./discounted-gain.js";
import { checkCutoff, meanOf } from "./shape.js";

/** One query's answers and judgements. */
export interface RankedList<Id extends string | number = string | number> {
  /** What was found, best first; no document twice. */
  readonly ranked: readonly Id[];
  /** Grade of each judged document. Above 0 is relevant; a document that is not judged counts as 0. */
  readonly relevance: ReadonlyMap<Id, number>;
}

/** Means over the queries; each record is by cutoff. */
export interface RankedListSummary {
  readonly queries: number;
  readonly meanAveragePrecision: number;
  readonly meanReciprocalRank: number;
  readonly ndcg: Record<number, number>;
  readonly precision: Record<number, number>;
  readonly recall: Record<number, number>;
  readonly hitRate: Record<number, number>;
}

interface Judged {
  /** Grade at each place. */
  readonly grades: readonly number[];
  /** Number of relevant documents, found or not. */
  readonly relevant: number;
}

function judge<Id extends string | number>({ ranked, relevance }: RankedList<Id>): Judged {
  if (new Set(ranked).size !== ranked.length) {
    throw new ClozeError("METRIC_VALUE", "A ranked list names a document twice", {
      expected: `${ranked.length} different documents`,
      received: String(new Set(ranked).size),
    });
  }
  return {
    grades: ranked.map((id) => relevance.get(id) ?? 0),
    relevant: [...relevance.values()].filter((grade) => grade > 0).length,
  };
}

const found = ({ grades }: Judged, cutoff: number): number =>
  grades.slice(0, cutoff).filter((grade) => grade > 0).length;

const share = (part: number, whole: number): number => (whole === 0 ? 0 : part / whole);

/**
 * Share of the first k places that hold something relevant. Places that a short list leaves empty count as wrong.
 *
 * @throws METRIC_VALUE
 */
export function precisionAtK<Id extends string | number>(list: RankedList<Id>, k: number): number {
  checkCutoff(k);
  return found(judge(list), k) / k;
}

/** Share of the relevant documents that stand among the first k; 0 when none is relevant. @throws METRIC_VALUE */
export function recallAtK<Id extends string | number>(list: RankedList<Id>, k: number): number {
  checkCutoff(k);
  const judged = judge(list);
  return share(found(judged, k), judged.relevant);
}

/** 1 when something relevant stands among the first k, otherwise 0. @throws METRIC_VALUE */
export function hitAtK<Id extends string | number>(list: RankedList<Id>, k: number): number {
  checkCutoff(k);
  return found(judge(list), k) > 0 ? 1 : 0;
}

/** 1 / place of the first relevant document, 0 when there is none in the list. @throws METRIC_VALUE */
export function reciprocalRank<Id extends string | number>(list: RankedList<Id>): number {
  const place = judge(list).grades.findIndex((grade) => grade > 0);
  return place < 0 ? 0 : 1 / (place + 1);
}

/**
 * Mean, over all relevant documents, of the precision at the place of each; one that is not in the list counts 0, and so
 * does a query without relevant documents.
 *
 * @throws METRIC_VALUE
 */
export function rankedAveragePrecision<Id extends string | number>(list: RankedList<Id>): number {
  const { grades, relevant } = judge(list);
  let before = 0;
  let sum = 0;
  grades.forEach((grade, place) => {
    if (grade > 0) sum += ++before / (place + 1);
  });
  return share(sum, relevant);
}

/**
 * Normalised discounted gain of the list; the best possible order is that of all judged documents, found or not. 0 when none
 * is relevant. Grades below 0 count as 0.
 *
 * @throws METRIC_VALUE
 */
export function rankedNdcg<Id extends string | number>(list: RankedList<Id>, options: GainOptions = {}): number {
  const grades = judge(list).grades.map((grade) => Math.max(0, grade));
  const judged = [...list.relevance.values()].map((grade) => Math.max(0, grade));
  const places = grades.map((_, place) => -place);
  const best = discountedGain(judged, judged, options);
  return best === 0 ? 0 : discountedGain(grades, places, options) / best;
}

/**
 * Every figure over all queries, at each cutoff. A query without relevant documents counts 0 everywhere; without queries the
 * means are NaN.
 *
 * @param cutoffs default 1, 10 and 100
 * @throws METRIC_VALUE
 */
export function summarizeRankedLists<Id extends string | number>(
  lists: readonly RankedList<Id>[],
  cutoffs: readonly number[] = [1, 10, 100],
  { gain }: Pick<GainOptions, "gain"> = {},
): RankedListSummary {
  const mean = (figure: (list: RankedList<Id>) => number): number => meanOf(lists.length, (i) => figure(lists[i]));
  const byCutoff = (figure: (list: RankedList<Id>, k: number) => number): Record<number, number> =>
    Object.fromEntries(cutoffs.map((k) => [k, mean((list) => figure(list, k))]));
  return {
    queries: lists.length,
    meanAveragePrecision: mean(rankedAveragePrecision),
    meanReciprocalRank: mean(reciprocalRank),
    ndcg: byCutoff((list, cutoff) => rankedNdcg(list, { cutoff, gain })),
    precision: byCutoff(precisionAtK),
    recall: byCutoff(recallAtK),
    hitRate: byCutoff(hitAtK),
  };
}
