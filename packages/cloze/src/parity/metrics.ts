// Figures of a `metrics.json`: what scikit-learn, scipy and sacrebleu say about labels and predictions.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { parseConfig } from "../encoder/registry.js";
import { ClozeError } from "../errors.js";
import * as metrics from "../metrics/index.js";
import { type Check, type Comparison, compare, failure } from "./check.js";

/** One number, several, or a table. `null` stands for NaN. */
type Figure = number | null | readonly Figure[];

const figureSchema: z.ZodType<Figure> = z.lazy(() => z.union([z.number(), z.null(), z.array(figureSchema)]));
const casesSchema = z.array(z.looseObject({ kind: z.string() }));
const numbersSchema = z.array(z.number());
const rowsSchema = z.array(numbersSchema);
const textsSchema = z.array(z.string());

/** The figures of one case by name; undefined for a name that nothing here computes. */
type Figures = (name: string) => Figure | undefined;

/** How the cases of one kind are read. */
interface Kind<Inputs> {
  readonly inputs: z.ZodType<Inputs> & { readonly shape: object };
  readonly tolerance: number;
  figures(inputs: Inputs): Figures;
}
const defineKind = <Inputs>(kind: Kind<Inputs>): Kind<Inputs> => kind;

type Averages = Record<string, metrics.Scores>;

/** `f1_macro`, `precision_weighted`, …: a figure of an average. */
function averaged(name: string, averages: Averages): number | undefined {
  const [, figure, average] = name.match(/^(precision|recall|f1)_(\w+)$/) ?? [];
  return figure === undefined ? undefined : averages[average]?.[figure as keyof metrics.Scores];
}

/** Looks in a table of figures first, then among averages. */
const tableOf =
  (table: Record<string, () => Figure>, averages: Averages = {}): Figures =>
  (name) =>
    Object.hasOwn(table, name) ? table[name]() : averaged(name, averages);

const classification = defineKind({
  inputs: z.object({ labels: numbersSchema, predictions: numbersSchema, probabilities: rowsSchema.default([]) }),
  tolerance: 1e-6,
  figures({ labels, predictions, probabilities }) {
    const positive = probabilities.map((row) => row[1]);
    const { micro, macro, weighted } = metrics.classificationReport(labels, predictions);
    return tableOf(
      {
        accuracy: () => metrics.accuracy(labels, predictions),
        mcc: () => metrics.matthewsCorrelation(labels, predictions),
        log_loss: () => metrics.logLoss(labels, probabilities),
        confusion: () => metrics.confusionMatrix(labels, predictions),
        roc_auc: () => metrics.rocAuc(labels, positive),
        average_precision: () => metrics.averagePrecision(labels, positive),
      },
      { micro, macro, weighted, binary: metrics.binaryScores(labels, predictions) },
    );
  },
});

const multiLabel = defineKind({
  inputs: z.object({ labels: rowsSchema, scores: rowsSchema }),
  tolerance: 1e-6,
  figures({ labels, scores }) {
    const predictions = scores.map((row) => row.map((score) => (score > 0.5 ? 1 : 0)));
    const { micro, macro, weighted, samples } = metrics.multiLabelReport(labels, predictions);
    return tableOf(
      {
        roc_auc_macro: () => metrics.macroRocAuc(labels, scores),
        lrap: () => metrics.labelRankingAveragePrecision(labels, scores),
        hamming_loss: () => metrics.hammingLoss(labels, predictions),
        exact_match: () => metrics.exactMatchRatio(labels, predictions),
      },
      { micro, macro, weighted, samples },
    );
  },
});

const regression = defineKind({
  inputs: z.object({ labels: numbersSchema, predictions: numbersSchema }),
  tolerance: 1e-6,
  figures: ({ labels, predictions }) =>
    tableOf({
      pearson: () => metrics.pearsonCorrelation(labels, predictions),
      spearman: () => metrics.spearmanCorrelation(labels, predictions),
      mse: () => metrics.meanSquaredError(labels, predictions),
      mae: () => metrics.meanAbsoluteError(labels, predictions),
      r2: () => metrics.rSquared(labels, predictions),
    }),
});

const ranking = defineKind({
  inputs: z.object({ gains: rowsSchema, scores: rowsSchema }),
  tolerance: 1e-6,
  figures:
    ({ gains, scores }) =>
    (name) => {
      const [, cutoff, gain] = name.match(/^ndcg(?:@(\d+))?_(linear|exponential)_gain$/) ?? [];
      if (gain === undefined) return undefined;
      return metrics.meanNormalizedDiscountedGain(gains, scores, {
        gain: gain as "linear" | "exponential",
        cutoff: cutoff === undefined ? undefined : Number(cutoff),
      });
    },
});

const translation = defineKind({
  inputs: z.object({ hypotheses: textsSchema, references: z.array(z.union([z.string(), textsSchema])) }),
  tolerance: 1e-4,
  figures({ hypotheses, references }) {
    const bleu = metrics.corpusBleu(hypotheses, references);
    return tableOf({
      bleu: () => bleu.score,
      bleu_precisions: () => bleu.precisions,
      brevity_penalty: () => bleu.brevityPenalty,
      chrf: () => metrics.corpusChrf(hypotheses, references),
      ter: () => metrics.translationEditRate(hypotheses, references).score,
      sentence_bleu: () => hypotheses.map((text, i) => metrics.sentenceBleu(text, references[i]).score),
    });
  },
});

const tagging = defineKind({
  inputs: z.object({
    labels: z.array(textsSchema),
    predictions: z.array(textsSchema),
    scheme: z.enum(["BIO", "BIOES", "BILOU"]).nullish(),
  }),
  tolerance: 1e-6,
  figures({ labels, predictions, scheme }) {
    const { micro, macro, weighted } = metrics.entityReport(labels, predictions, { strict: scheme ?? undefined });
    return tableOf({}, { micro, macro, weighted });
  },
});

const questionAnswering = defineKind({
  inputs: z.object({
    version: z.enum(["1.1", "2.0"]),
    threshold: z.number().optional(),
    questions: z.array(
      z.object({ answers: textsSchema, prediction: z.string(), noAnswerScore: z.number().optional() }),
    ),
  }),
  tolerance: 1e-6,
  figures({ version, threshold, questions }) {
    const report = metrics.answerReport(questions, { version, noAnswerThreshold: threshold });
    const best = metrics.bestNoAnswerThresholds(questions);
    return tableOf({
      exact: () => report.exactMatch,
      f1: () => report.f1,
      HasAns_exact: () => report.hasAnswer.exactMatch,
      HasAns_f1: () => report.hasAnswer.f1,
      NoAns_exact: () => report.noAnswer.exactMatch,
      NoAns_f1: () => report.noAnswer.f1,
      best_exact: () => best.exactMatch.score,
      best_exact_thresh: () => best.exactMatch.threshold,
      best_f1: () => best.f1.score,
      best_f1_thresh: () => best.f1.threshold,
    });
  },
});

const kinds = {
  question_answering: questionAnswering,
  classification,
  multilabel: multiLabel,
  regression,
  ranking,
  translation,
  tagging,
};

/** Adds absolute differences, entry by entry. */
function addFigure(comparison: Comparison, name: string, received: Figure, expected: Figure): void {
  if (Array.isArray(expected) || Array.isArray(received)) {
    if (!Array.isArray(expected) || !Array.isArray(received) || expected.length !== received.length) {
      comparison.fail(`${name}: another shape than expected`);
      return;
    }
    expected.forEach((entry: Figure, i) => {
      addFigure(comparison, `${name}[${i}]`, received[i], entry);
    });
    return;
  }
  const ours = received === null ? Number.NaN : (received as number);
  const theirs = expected === null ? Number.NaN : (expected as number);
  const both = Number.isNaN(ours) && Number.isNaN(theirs);
  const difference = Math.abs(ours - theirs);
  comparison.addDifference(name, both ? 0 : Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference);
}

function checkCase<Inputs>(name: string, kind: Kind<Inputs>, given: Record<string, unknown>): Check {
  const comparison = compare(name, kind.tolerance);
  const figures = kind.figures(parseConfig(kind.inputs, given, name));
  const inputs = ["kind", "about", ...Object.keys(kind.inputs.shape)];
  const names = Object.keys(given).filter((key) => !inputs.includes(key));
  if (names.length === 0) comparison.fail("the case holds no figure");
  for (const figure of names) {
    const received = figures(figure);
    if (received === undefined) comparison.fail(`${figure}: this program does not know such a figure`);
    else addFigure(comparison, figure, received, parseConfig(figureSchema, given[figure], `${name} ${figure}`));
  }
  return comparison.finish();
}

/** JSON as Python writes it: NaN may stand there, and is read as null. Inside a string it stays. */
const parsePythonJson = (text: string): unknown =>
  JSON.parse(text.replace(/"(?:[^"\\]|\\.)*"|\bNaN\b/g, (part) => (part === "NaN" ? "null" : part)));

/**
 * Compares every figure of a folder's `metrics.json`, one line for each case: `metrics/<n> <kind>`, n from 0. Differences are
 * absolute, not scaled. A kind or a figure that is not known is a failed line.
 */
export function checkMetrics(folder: string, name: string): Check[] {
  try {
    const cases = parseConfig(
      casesSchema,
      parsePythonJson(readFileSync(join(folder, "metrics.json"), "utf8")),
      "metrics.json",
    );
    return cases.map((given, n) => {
      const title = `${name}/${n} ${given.kind}`;
      try {
        if (!Object.hasOwn(kinds, given.kind)) {
          throw new ClozeError("PARITY_INPUT", "The case is of a kind that this program does not know", {
            expected: Object.keys(kinds).join(", "),
            received: given.kind,
          });
        }
        return checkCase(title, kinds[given.kind as keyof typeof kinds] as Kind<unknown>, given);
      } catch (error) {
        return failure(title, error);
      }
    });
  } catch (error) {
    return [failure(name, error)];
  }
}
