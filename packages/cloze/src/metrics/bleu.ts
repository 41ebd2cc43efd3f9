// BLEU (Papineni et al. 2002) with sacrebleu's defaults: tokenizer 13a, mixed case, exponential smoothing (Post 2018).
import { sumOf } from "./shape.js";
import { countCommon, countNgrams, type References, referenceLists } from "./translation.js";
import { splitWords, stripEnd } from "./words.js";

/** BLEU and what it is made of. */
export interface BleuScore {
  /** From 0 to 100. */
  readonly score: number;
  /** Of 1- to 4-grams, from 0 to 100, smoothed. */
  readonly precisions: readonly number[];
  readonly brevityPenalty: number;
  /** Words of the texts. */
  readonly hypothesisLength: number;
  /** Words of the references that are closest in length. */
  readonly referenceLength: number;
}

const orders = [1, 2, 3, 4];

/** Words and punctuation as mteval-v13a separates them. */
export function tokenize13a(text: string): string[] {
  let line = text.replaceAll("<skipped>", "").replaceAll("-\n", "").replaceAll("\n", " ");
  for (const [entity, character] of [
    ["&quot;", '"'],
    ["&amp;", "&"],
    ["&lt;", "<"],
    ["&gt;", ">"],
  ]) {
    line = line.replaceAll(entity, character);
  }
  // Points, commas and hyphens stay inside numbers, apostrophes inside words.
  line = ` ${line} `
    .replace(/[{-~[-` -&(-+:-@/]/gu, " $& ")
    .replace(/([^0-9])([.,])/gu, "$1 $2 ")
    .replace(/([.,])([^0-9])/gu, " $1 $2")
    .replace(/([0-9])(-)/gu, "$1 $2 ");
  return splitWords(line);
}

interface Statistics {
  readonly length: number;
  readonly referenceLength: number;
  readonly correct: readonly number[];
  readonly total: readonly number[];
}

/** The length closest to that of the text, the shorter one of two. */
const closestLength = (length: number, lengths: readonly number[]): number =>
  lengths.reduce((best, next) => {
    const closer = Math.abs(next - length) - Math.abs(best - length);
    return closer < 0 || (closer === 0 && next < best) ? next : best;
  });

// A "-\n" at the very end keeps its hyphen.
const wordsOf = (text: string): string[] => tokenize13a(stripEnd(text));

function statisticsOf(hypothesis: string, references: readonly string[]): Statistics {
  const words = wordsOf(hypothesis);
  const right = references.map(wordsOf);
  const correct = orders.map((order) => {
    const most = new Map<string, number>();
    for (const reference of right) {
      for (const [ngram, count] of countNgrams(reference, order, " ")) {
        most.set(ngram, Math.max(count, most.get(ngram) ?? 0));
      }
    }
    return countCommon(countNgrams(words, order, " "), most);
  });
  return {
    length: words.length,
    referenceLength: closestLength(
      words.length,
      right.map((reference) => reference.length),
    ),
    correct,
    total: orders.map((order) => Math.max(0, words.length - order + 1)),
  };
}

function scoreOf(statistics: readonly Statistics[], effectiveOrder: boolean): BleuScore {
  const sum = (figure: (one: Statistics) => number): number => sumOf(statistics.length, (i) => figure(statistics[i]));
  const length = sum((one) => one.length);
  const referenceLength = sum((one) => one.referenceLength);
  const correct = orders.map((_, n) => sum((one) => one.correct[n]));
  const total = orders.map((_, n) => sum((one) => one.total[n]));
  const brevityPenalty = length >= referenceLength ? 1 : length === 0 ? 0 : Math.exp(1 - referenceLength / length);
  const common = { brevityPenalty, hypothesisLength: length, referenceLength };
  if (correct.every((count) => count === 0)) return { score: 0, precisions: orders.map(() => 0), ...common };
  // Every order without a match gets half of what the one before it was given (NIST; method 3 of Chen and Cherry 2014).
  let share = 1;
  const precisions = orders.map((_, n) => {
    if (total[n] === 0) return 0;
    if (correct[n] > 0) return (100 * correct[n]) / total[n];
    share /= 2;
    return (100 * share) / total[n];
  });
  const used = effectiveOrder ? total.filter((count) => count > 0).length : orders.length;
  const mean = sumOf(used, (n) => Math.log(precisions[n])) / used;
  return { score: brevityPenalty * Math.exp(mean), precisions, ...common };
}

/**
 * BLEU of a corpus. 0 when no word is right, or when no text has four words; also 0 without texts.
 *
 * @throws METRIC_SHAPE, METRIC_VALUE for a text without a reference
 */
export function corpusBleu(hypotheses: readonly string[], references: readonly References[]): BleuScore {
  const lists = referenceLists(hypotheses, references);
  return scoreOf(
    hypotheses.map((hypothesis, i) => statisticsOf(hypothesis, lists[i])),
    false,
  );
}

/**
 * BLEU of one text. Orders that it is too short for are left out ("effective order"), as sacrebleu's `sentence_bleu` does.
 *
 * @throws METRIC_VALUE without a reference
 */
export const sentenceBleu = (hypothesis: string, references: References): BleuScore =>
  scoreOf([statisticsOf(hypothesis, referenceLists([hypothesis], [references])[0])], true);
