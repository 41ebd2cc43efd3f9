// chrF2 (Popović 2015, 2016): F-score of character n-grams, with sacrebleu's defaults.
import { sumOf } from "./shape.js";
import { countCommon, countNgrams, type References, referenceLists } from "./translation.js";
import { splitWords } from "./words.js";

/** Longest n-grams. */
const orders = [1, 2, 3, 4, 5, 6];
/** Recall counts this many times as much as precision. */
const beta = 2;

interface Statistics {
  readonly hypothesis: number;
  readonly reference: number;
  readonly common: number;
}

const total = (counts: ReadonlyMap<string, number>): number =>
  [...counts.values()].reduce((sum, count) => sum + count, 0);

/** Counts of each order. White space counts for nothing. */
const ngramsOf = (text: string): Map<string, number>[] => {
  const characters = [...splitWords(text).join("")];
  return orders.map((order) => countNgrams(characters, order, ""));
};

function scoreOf(statistics: readonly Statistics[]): number {
  // Orders that either side is too short for are left out.
  const used = statistics.filter(({ hypothesis, reference }) => hypothesis > 0 && reference > 0);
  if (used.length === 0) return 0;
  const precision = sumOf(used.length, (n) => used[n].common / used[n].hypothesis) / used.length;
  const recall = sumOf(used.length, (n) => used[n].common / used[n].reference) / used.length;
  if (precision + recall === 0) return 0;
  return (100 * (1 + beta ** 2) * precision * recall) / (beta ** 2 * precision + recall);
}

function statisticsOf(hypothesis: string, references: readonly string[]): Statistics[] {
  const ours = ngramsOf(hypothesis);
  const candidates = references.map((reference) =>
    ngramsOf(reference).map((theirs, n) => ({
      // Where a reference is too short for an order, the text's n-grams are not held against it.
      hypothesis: theirs.size > 0 ? total(ours[n]) : 0,
      reference: total(theirs),
      common: countCommon(ours[n], theirs),
    })),
  );
  return candidates.reduce((best, next) => (scoreOf(next) > scoreOf(best) ? next : best));
}

/**
 * chrF2 of a corpus, from 0 to 100: n-grams of 1 to 6 characters, counted over the whole corpus against the best reference
 * of each text. 0 without texts.
 *
 * @throws METRIC_SHAPE, METRIC_VALUE for a text without a reference
 */
export function corpusChrf(hypotheses: readonly string[], references: readonly References[]): number {
  const lists = referenceLists(hypotheses, references);
  const statistics = hypotheses.map((hypothesis, i) => statisticsOf(hypothesis, lists[i]));
  const sum = (n: number, figure: keyof Statistics): number =>
    sumOf(statistics.length, (i) => statistics[i][n][figure]);
  return scoreOf(
    orders.map((_, n) => ({
      hypothesis: sum(n, "hypothesis"),
      reference: sum(n, "reference"),
      common: sum(n, "common"),
    })),
  );
}
