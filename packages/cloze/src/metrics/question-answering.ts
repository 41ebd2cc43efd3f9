// Answers as texts: exact match and token F1 of the official SQuAD scripts (Rajpurkar et al. 2016 and 2018).
import { meanOf, sumOf } from "./shape.js";
import { splitWords } from "./words.js";

/** One question. */
export interface AnsweredQuestion {
  /** Right answers; none when the text does not answer the question (SQuAD 2.0). */
  readonly answers: readonly string[];
  /** The predicted answer; "" says that there is none. */
  readonly prediction: string;
  /** How sure the model is that there is no answer: any number, larger is surer. Default 0. */
  readonly noAnswerScore?: number;
}

/** Means over questions, from 0 to 100; NaN of none. */
export interface AnswerScores {
  readonly exactMatch: number;
  readonly f1: number;
  readonly questions: number;
}

/** Overall, and apart for questions with and without an answer. */
export interface AnswerReport extends AnswerScores {
  readonly hasAnswer: AnswerScores;
  readonly noAnswer: AnswerScores;
}

export interface AnswerOptions {
  /** "1.1" (every question has an answer) or "2.0" (default). They differ where an answer is empty once normalised. */
  version?: "1.1" | "2.0";
  /** Questions whose `noAnswerScore` is above it count as left unanswered. Default: all stand as predicted. 2.0 only. */
  noAnswerThreshold?: number;
}

/** The best threshold of each figure and the figure there, from 0 to 100. */
export interface NoAnswerThresholds {
  readonly exactMatch: { readonly threshold: number; readonly score: number };
  readonly f1: { readonly threshold: number; readonly score: number };
}

const punctuation = /[!-/:-@[-`{-~]/g;
// \b of Python looks at Unicode letters, that of JavaScript does not.
const articles = /(?<![\p{L}\p{N}_])(?:a|an|the)(?![\p{L}\p{N}_])/gu;

/** Lower case, without ASCII punctuation and English articles, single spaces. */
export const normalizeAnswer = (text: string): string =>
  splitWords(text.toLowerCase().replace(punctuation, "").replace(articles, " ")).join(" ");

/** 1 when both are equal once normalised, otherwise 0. */
export const exactAnswerMatch = (answer: string, prediction: string): number =>
  normalizeAnswer(answer) === normalizeAnswer(prediction) ? 1 : 0;

/**
 * F1 of the words that both have in common, counted with repetition, between 0 and 1. Where one has no words, "2.0" gives 1
 * if neither has and otherwise 0; "1.1" always 0.
 */
export function answerF1(answer: string, prediction: string, version: "1.1" | "2.0" = "2.0"): number {
  const right = splitWords(normalizeAnswer(answer));
  const predicted = splitWords(normalizeAnswer(prediction));
  if (version === "2.0" && (right.length === 0 || predicted.length === 0))
    return right.length === predicted.length ? 1 : 0;
  const left = new Map<string, number>();
  for (const word of right) left.set(word, (left.get(word) ?? 0) + 1);
  let common = 0;
  for (const word of predicted) {
    const count = left.get(word) ?? 0;
    if (count === 0) continue;
    left.set(word, count - 1);
    common++;
  }
  if (common === 0) return 0;
  const precision = common / predicted.length;
  const recall = common / right.length;
  return (2 * precision * recall) / (precision + recall);
}

interface RawScores {
  readonly exactMatch: number;
  readonly f1: number;
}

/** The best over the right answers. A right answer that is empty once normalised does not count in 2.0. */
function rawScores({ answers, prediction }: AnsweredQuestion, version: "1.1" | "2.0"): RawScores {
  const kept = version === "2.0" ? answers.filter((answer) => normalizeAnswer(answer) !== "") : answers;
  const right = version === "2.0" && kept.length === 0 ? [""] : kept;
  return {
    exactMatch: Math.max(0, ...right.map((answer) => exactAnswerMatch(answer, prediction))),
    f1: Math.max(0, ...right.map((answer) => answerF1(answer, prediction, version))),
  };
}

const summarize = (scores: readonly RawScores[]): AnswerScores => ({
  exactMatch: 100 * meanOf(scores.length, (i) => scores[i].exactMatch),
  f1: 100 * meanOf(scores.length, (i) => scores[i].f1),
  questions: scores.length,
});

const isAnswerable = ({ answers }: AnsweredQuestion): boolean => answers.length > 0;

/** Exact match and F1 over questions, from 0 to 100, as the official scripts print them; NaN without questions. */
export function answerReport(questions: readonly AnsweredQuestion[], options: AnswerOptions = {}): AnswerReport {
  const { version = "2.0", noAnswerThreshold = Number.POSITIVE_INFINITY } = options;
  const scores = questions.map((question): RawScores => {
    if (version === "1.1" || !((question.noAnswerScore ?? 0) > noAnswerThreshold)) return rawScores(question, version);
    const right = isAnswerable(question) ? 0 : 1;
    return { exactMatch: right, f1: right };
  });
  return {
    ...summarize(scores),
    hasAnswer: summarize(scores.filter((_, i) => isAnswerable(questions[i]))),
    noAnswer: summarize(scores.filter((_, i) => !isAnswerable(questions[i]))),
  };
}

/**
 * The thresholds on `noAnswerScore` that make exact match and F1 best on these questions, as the official script's
 * `find_best_thresh`: questions join the answered ones in ascending order of their score, each brings its figure or, when it
 * has no answer but a prediction, costs 1. With equal scores the script may stop between them, so that its score is then a
 * little above what the threshold really reaches.
 *
 * @returns threshold 0 when leaving everything unanswered is best; score NaN without questions
 */
export function bestNoAnswerThresholds(questions: readonly AnsweredQuestion[]): NoAnswerThresholds {
  const scores = questions.map((question) => rawScores(question, "2.0"));
  const unsure = (i: number): number => questions[i].noAnswerScore ?? 0;
  const order = questions.map((_, i) => i).sort((a, b) => unsure(a) - unsure(b) || a - b);
  const search = (figure: keyof RawScores): { threshold: number; score: number } => {
    let current = sumOf(questions.length, (i) => (isAnswerable(questions[i]) ? 0 : 1));
    let best = { threshold: 0, score: current };
    for (const i of order) {
      if (isAnswerable(questions[i])) current += scores[i][figure];
      else if (questions[i].prediction !== "") current -= 1;
      if (current > best.score) best = { threshold: unsure(i), score: current };
    }
    return { threshold: best.threshold, score: (100 * best.score) / questions.length };
  };
  return { exactMatch: search("exactMatch"), f1: search("f1") };
}
