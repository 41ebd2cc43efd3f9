// Where in a text the answer to a question stands, if it does.
import { z } from "zod";
import { type QuestionRow, readTaskRows } from "../data/readers/index.js";
import { ClozeError } from "../errors.js";
import { answerReport, bestNoAnswerThresholds } from "../metrics/question-answering.js";
import { atOnce, type Steps } from "../text/index.js";
import { rowsOfTokens, softmaxOf } from "./outputs.js";
import { defineTask, type EncodeContext, type Example } from "./task.js";
import { questionWindowSteps, type Window } from "./windows.js";

const settingsSchema = z.strictObject({
  /** Questions may have no answer (SQuAD 2.0). */
  unanswerable: z.boolean(),
  /** There is no answer where "none" scores so much more than the best answer. Tuned on the dev rows. */
  noAnswerThreshold: z.number(),
  /** Tokens that windows of a long context share. */
  stride: z.int().min(0),
  /** Tokens of the longest answer. */
  maxAnswerLength: z.int().min(1),
  /** Candidates of a prediction. */
  nBest: z.int().min(1),
});
type Settings = z.output<typeof settingsSchema>;

const optionsSchema = z.strictObject({
  stride: z.int().min(0).optional().describe("tokens that the windows of a long context share (default 64)"),
  maxAnswerLength: z.int().min(1).optional().describe("tokens of the longest answer (default 30)"),
  nBest: z.int().min(1).optional().describe("candidates that predictions list (default 5)"),
  unanswerable: z.boolean().optional().describe("questions may have no answer (default: as the training rows have it)"),
});

export interface AnswerCandidate {
  /** `context.slice(start, end)`. */
  readonly text: string;
  readonly start: number;
  readonly end: number;
  /** Logit of the start plus logit of the end. */
  readonly score: number;
  /** Among the candidates. */
  readonly probability: number;
}

export interface AnswerPrediction {
  readonly id: string;
  /** "" where there is none. */
  readonly answer: string;
  /** The best spans, best first. */
  readonly candidates: readonly AnswerCandidate[];
  /** How much more "no answer" scores than the best span; where questions may have none. */
  readonly noAnswerScore?: number;
}

export interface AnswerDetails {
  readonly windows: readonly Window[];
  /** The token that stands for "no answer", in each window. */
  readonly nowhere: readonly number[];
}

/** Starts that are tried with every end in reach. */
const startsTried = 20;

const unlabelled = (row: number): ClozeError =>
  new ClozeError("ROW_UNLABELLED", `Row ${row} does not say what the answer is`, {
    remedy: "Give answers with their places, or is_impossible for questions that have none.",
  });

/** @throws ROW_UNLABELLED where no question has an answer, and none is known to have none */
function checkGold(rows: readonly QuestionRow[]): void {
  if (rows.every(({ answers, impossible }) => answers.length === 0 && impossible === undefined)) {
    throw unlabelled(rows[0]?.row ?? 1);
  }
}

/**
 * The official search ends on the score of the last question that is answered, so that one a little less sure would not be.
 * Half way to the next score decides the same questions, and leaves room on both sides.
 */
function betweenScores(threshold: number, predictions: readonly { readonly noAnswerScore?: number }[]): number {
  const scores = predictions.map(({ noAnswerScore = 0 }) => noAnswerScore);
  const next = scores.reduce((least, score) => (score > threshold ? Math.min(least, score) : least), Infinity);
  const middle = threshold + (next - threshold) / 2;
  return scores.includes(threshold) && middle < next ? middle : threshold;
}

/** Whether a question is known to have no answer. */
const isUnanswerable = ({ answers, impossible }: QuestionRow, settings: Pick<Settings, "unanswerable">): boolean =>
  impossible === true || (answers.length === 0 && (impossible === false || settings.unanswerable));

/** The tokens between which an answer stands in a window; undefined where it does not stand there as a whole. */
function tokensBetween({ starts, ends }: Window, from: number, to: number): [number, number] | undefined {
  const first = starts.findIndex((start, token) => start >= 0 && start <= from && from < ends[token]);
  const last = starts.findIndex((start, token) => start >= 0 && start < to && to <= ends[token]);
  return first < 0 || last < 0 ? undefined : [first, last];
}

/** Starts and ends of the answer in each window, by turns; -1: not counted. */
function labelsOf(
  row: QuestionRow,
  settings: Settings,
  { windows, nowhere }: AnswerDetails,
  context: EncodeContext,
): Int32Array {
  const [answer] = row.answers;
  if (answer === undefined) {
    if (!isUnanswerable(row, settings)) throw unlabelled(row.row);
    return Int32Array.from(nowhere.flatMap((token) => [token, token]));
  }
  const { text, start } = answer;
  if (text === "" || start < 0 || !row.context.startsWith(text, start)) {
    context.warnings.add(
      "ANSWER_NOT_THERE",
      "answers that do not stand at their place in the context; these rows teach nothing",
      `row ${row.row}, ${JSON.stringify(text.slice(0, 40))} at ${start}`,
    );
    return new Int32Array(2 * windows.length).fill(-1);
  }
  return Int32Array.from(
    windows.flatMap((window, w) => tokensBetween(window, start, start + text.length) ?? [nowhere[w], nowhere[w]]),
  );
}

function* encodeSteps(row: QuestionRow, settings: Settings, context: EncodeContext): Steps<Example<AnswerDetails>> {
  const { tokenizer, maxLength, warnings } = context;
  // SQuAD has questions that begin with spaces.
  const { stride } = settings;
  const { windows, cut } = yield* questionWindowSteps(tokenizer, row.question.trim(), row.context, maxLength, stride);
  if (cut)
    warnings.add("QUESTION_CUT", "questions that took more than half of a sequence; they were cut", `row ${row.row}`);
  const { classification } = tokenizer.roles;
  const nowhere = windows.map(({ ids }) => Math.max(0, classification === undefined ? 0 : ids.indexOf(classification)));
  const details = { windows, nowhere };
  return {
    sequences: windows.map(({ ids, segments }) => ({ ids, segments })),
    labels: context.training ? labelsOf(row, settings, details, context) : undefined,
    details,
  };
}

interface Span {
  readonly start: number;
  readonly end: number;
  readonly score: number;
}

/** Whether a span is better than another; of equals the first one is. */
const isBetter = (a: Span, b: Span): boolean =>
  a.score === b.score ? (a.start === b.start ? a.end < b.end : a.start < b.start) : a.score > b.score;

/** Puts a span in its place among the best ones, each of which stands there once. */
function putAmong(best: Span[], span: Span, most: number): void {
  const same = best.findIndex(({ start, end }) => start === span.start && end === span.end);
  if (same >= 0 && !isBetter(span, best[same])) return;
  if (same >= 0) best.splice(same, 1);
  const place = best.findIndex((other) => isBetter(span, other));
  best.splice(place < 0 ? best.length : place, 0, span);
  if (best.length > most) best.pop();
}

/** Puts the best spans of a window among those of others. logits: start and end of each token by turns */
function addSpans(
  best: Span[],
  { starts, ends }: Window,
  logits: Float32Array,
  { maxAnswerLength, nBest }: Settings,
): void {
  const inside = Array.from(starts.keys()).filter((token) => starts[token] >= 0);
  const last = inside[inside.length - 1];
  const tried = [...inside].sort((a, b) => logits[2 * b] - logits[2 * a] || a - b).slice(0, startsTried);
  for (const first of tried) {
    for (let token = first; token < Math.min(first + maxAnswerLength, last + 1); token++) {
      const score = logits[2 * first] + logits[2 * token + 1];
      // Long texts have millions of spans: most are passed over without being made.
      if (best.length === nBest && score < best[nBest - 1].score) continue;
      putAmong(best, { start: starts[first], end: ends[token], score }, nBest);
    }
  }
}

function* predictSteps(
  row: QuestionRow,
  { windows, nowhere }: AnswerDetails,
  outputs: Float32Array,
  settings: Settings,
): Steps<AnswerPrediction> {
  const kept: Span[] = [];
  let none = Number.POSITIVE_INFINITY;
  let at = 0;
  for (const [w, window] of windows.entries()) {
    const logits = outputs.subarray(at, at + 2 * window.ids.length);
    at += logits.length;
    // As the reference: the window that is least sure that there is nothing speaks.
    none = Math.min(none, logits[2 * nowhere[w]] + logits[2 * nowhere[w] + 1]);
    addSpans(kept, window, logits, settings);
    yield;
  }
  const probabilities = kept.length === 0 ? [] : softmaxOf(kept.map(({ score }) => score));
  const candidates = kept.map((span, i) => ({
    text: row.context.slice(span.start, span.end),
    ...span,
    probability: probabilities[i],
  }));
  const noAnswerScore = candidates.length === 0 ? Number.MAX_VALUE : none - candidates[0].score;
  return decided({ id: row.id, answer: "", candidates, ...(settings.unanswerable && { noAnswerScore }) }, settings);
}

/** The best span, or none. */
function decided(prediction: AnswerPrediction, { noAnswerThreshold }: Settings): AnswerPrediction {
  const { candidates, noAnswerScore = Number.NEGATIVE_INFINITY } = prediction;
  return { ...prediction, answer: noAnswerScore > noAnswerThreshold ? "" : (candidates[0]?.text ?? "") };
}

/** What the official script looks at; the span even where it is left unsaid. */
const asked = (row: QuestionRow, prediction: string, noAnswerScore?: number) => ({
  answers: row.answers.map(({ text }) => text),
  prediction,
  noAnswerScore,
});

/**
 * Extractive question answering, SQuAD 1.1 and 2.0: the start and the end of the answer, in windows of the context; "no
 * answer" is the first token. Exact match and F1 (0 to 100) as the official script computes them.
 */
export const questionAnswering = defineTask<QuestionRow, Settings, AnswerPrediction, AnswerDetails>({
  name: "question-answering",
  description: "where in a text the answer to a question stands, if it does",
  defaults: { maxLength: 384, batchSize: 16, learningRate: 1e-4, epochs: 2 },
  options: optionsSchema,
  settings: settingsSchema,
  texts: ({ question, context }) => [question, context],
  read: (input, options) => readTaskRows("question-answering", input, options),
  prepare(rows, options) {
    const { stride = 64, maxAnswerLength = 30, nBest = 5, unanswerable } = optionsSchema.parse(options);
    if (rows.every(({ answers }) => answers.length === 0)) throw unlabelled(rows[0].row);
    return {
      unanswerable: unanswerable ?? rows.some(({ answers }) => answers.length === 0),
      noAnswerThreshold: 0,
      stride,
      maxAnswerLength,
      nBest,
    };
  },
  head: () => ({ architecture: "ForQuestionAnswering" }),
  fromHead: (head) =>
    head.type === "question-answering"
      ? { unanswerable: false, noAnswerThreshold: 0, stride: 64, maxAnswerLength: 30, nBest: 5 }
      : undefined,
  encode: (row, settings, context) => atOnce(encodeSteps(row, settings, context)),
  encodeSteps,
  inputs(batch) {
    const { labels } = batch;
    if (labels === undefined) return { batch, labels: {} };
    const turn = (offset: number) => Int32Array.from({ length: labels.length / 2 }, (_, i) => labels[2 * i + offset]);
    return { batch, labels: { starts: turn(0), ends: turn(1) } };
  },
  outputs({ startLogits, endLogits }, batch) {
    const ends = rowsOfTokens(endLogits, batch);
    return rowsOfTokens(startLogits, batch).map((starts, row) => {
      const both = new Float32Array(2 * starts.length);
      starts.forEach((logit, token) => {
        both[2 * token] = logit;
        both[2 * token + 1] = ends[row][token];
      });
      return both;
    });
  },
  predict: (row, { details }, outputs, settings) => atOnce(predictSteps(row, details, outputs, settings)),
  predictSteps: (row, { details }, outputs, settings) => predictSteps(row, details, outputs, settings),
  decide: decided,
  tune(rows, predictions, settings) {
    if (!settings.unanswerable || rows.every(({ answers }) => answers.length > 0)) return settings;
    const questions = predictions.map(({ candidates, noAnswerScore }, i) =>
      asked(rows[i], candidates[0]?.text ?? "", noAnswerScore),
    );
    const { threshold } = bestNoAnswerThresholds(questions).f1;
    return { ...settings, noAnswerThreshold: betweenScores(threshold, predictions) };
  },
  checkGold,
  score(rows, predictions, settings, warnings) {
    checkGold(rows);
    const without = rows.filter(({ answers }) => answers.length === 0);
    const version = settings.unanswerable ? "2.0" : "1.1";
    if (version === "1.1" && without.length > 0) {
      warnings.add(
        "ANSWER_ALWAYS",
        "questions without an answer, which the model was never trained to leave unanswered",
        `row ${without[0].row}`,
        without.length,
      );
    }
    const report = answerReport(
      rows.map((row, i) => asked(row, predictions[i].answer)),
      { version },
    );
    const { exactMatch, f1, hasAnswer, noAnswer } = report;
    const apart = { hasAnswerF1: hasAnswer.f1, noAnswerF1: noAnswer.f1 };
    return { values: { f1, exactMatch, ...(settings.unanswerable && without.length > 0 ? apart : {}) } };
  },
  headline: () => "f1",
});
