// One of several classes for a text or a pair of texts; or any number of labels at once.
import { z } from "zod";
import { readTaskRows, type TextRow } from "../data/readers/index.js";
import { ClozeError } from "../errors.js";
import { classScores, confusionMatrix, matthewsCorrelation } from "../metrics/classification.js";
import { bestLabelThresholds, labelRankingAveragePrecision, multiLabelReport } from "../metrics/multi-label.js";
import { atOnce, type Steps } from "../text/index.js";
import { encodeTextSteps } from "./encode-text.js";
import {
  checkSeveralLabels,
  labelNumbers,
  labelWeights,
  namesOfHead,
  reconcileNames,
  sortLabels,
  warnUnseen,
  weightsInOrder,
  weightsOption,
} from "./label-map.js";
import { fitLinearBaseline } from "./linear-baseline.js";
import { placeOfLargest, rowsOfSequences, sigmoid, softmaxOf } from "./outputs.js";
import { defineTask, type EncodeContext, type Example, type Scores } from "./task.js";

type Problem = "single" | "multi";

const settingsSchema = z.strictObject({
  names: z.array(z.string()).min(2).readonly(),
  /** What errors on a label cost, where they do not all cost the same. */
  weights: z.record(z.string(), z.number().positive()).readonly().optional(),
  /** Several labels: a label is given from this probability on. */
  thresholds: z.record(z.string(), z.number()).readonly().optional(),
  tuneThresholds: z.boolean().optional(),
});
type Settings = z.output<typeof settingsSchema>;

const singleOptions = z.strictObject({ classWeights: weightsOption });
const multiOptions = z.strictObject({
  classWeights: weightsOption,
  threshold: z.number().min(0).max(1).optional().describe("the probability from which a label is given (default 0.5)"),
  tuneThresholds: z.boolean().optional().describe("choose the threshold of each label on the dev rows, for its F1"),
});

export interface ClassificationPrediction {
  /** One class: the likeliest one, and its probability. */
  readonly label?: string;
  readonly score?: number;
  /** Several labels: those that reach their thresholds. */
  readonly labels?: readonly string[];
  /** The probability of each label. */
  readonly scores: Readonly<Record<string, number>>;
}

function labelsOf({ label, row }: TextRow, problem: Problem): readonly string[] {
  if (label === undefined) {
    throw new ClozeError("ROW_UNLABELLED", `Row ${row} has no label`, {
      remedy: "Name the column with --column label=…, or leave the row out.",
    });
  }
  const labels = Array.isArray(label) ? label : [String(label)];
  if (problem === "multi" || labels.length === 1) return labels;
  throw new ClozeError("LABELS_SEVERAL", `Row ${row} has ${labels.length} labels where one is to be found`, {
    received: labels.join(", ") || "none",
    remedy: "Use the task multi-label, or correct the row.",
  });
}

function decided(scores: Readonly<Record<string, number>>, { names, thresholds }: Settings, problem: Problem) {
  if (problem === "multi")
    return { labels: names.filter((name) => scores[name] >= (thresholds?.[name] ?? 0.5)), scores };
  const label = names[placeOfLargest(names.map((name) => scores[name]))];
  return { label, score: scores[label], scores };
}

/** 1 for the labels that are there. [names] */
const indicators = (labels: readonly string[], names: readonly string[]): Float32Array =>
  Float32Array.from(names, (name) => Number(labels.includes(name)));

function singleScores(gold: readonly string[], predicted: readonly string[], { names }: Settings): Scores {
  // Labels that the model does not know get numbers of their own, behind the others.
  const all = [...names, ...sortLabels(gold.filter((label) => !names.includes(label)))];
  const numberOf = labelNumbers(all);
  const [labels, predictions] = [gold.map(numberOf), predicted.map(numberOf)];
  const present = [...new Set([...labels, ...predictions])].sort((a, b) => a - b);
  const classes = classScores(labels, predictions, { classes: present });
  const mean = (pick: (one: (typeof classes)[number]) => number): number =>
    classes.reduce((sum, one) => sum + pick(one), 0) / classes.length;
  const support = classes.reduce((sum, one) => sum + one.support, 0);
  // As scikit-learn's binary average, the second label is the positive one.
  const positive = names.length === 2 ? classScores(labels, predictions, { classes: [1] })[0] : undefined;
  return {
    values: {
      accuracy: labels.filter((label, i) => label === predictions[i]).length / labels.length,
      macroF1: mean(({ f1 }) => f1),
      weightedF1: classes.reduce((sum, one) => sum + one.f1 * one.support, 0) / support,
      matthewsCorrelation: matthewsCorrelation(labels, predictions),
      ...(positive && { f1: positive.f1, precision: positive.precision, recall: positive.recall }),
    },
    confusion: { names: all, counts: confusionMatrix(labels, predictions, { classes: all.map((_, i) => i) }) },
  };
}

function multiScores(
  gold: readonly (readonly string[])[],
  predictions: readonly ClassificationPrediction[],
  settings: Settings,
) {
  const predicted = predictions.map(({ labels = [] }) => labels);
  const names = [...settings.names, ...sortLabels(gold.flat().filter((label) => !settings.names.includes(label)))];
  const rows = (all: readonly (readonly string[])[]) => all.map((labels) => indicators(labels, names));
  const { micro, macro, weighted, samples } = multiLabelReport(rows(gold), rows(predicted));
  const same = gold.filter((labels, i) => {
    const wanted = new Set(labels);
    return wanted.size === predicted[i].length && predicted[i].every((label) => wanted.has(label));
  });
  return {
    values: {
      macroF1: macro.f1,
      microF1: micro.f1,
      weightedF1: weighted.f1,
      samplesF1: samples.f1,
      microPrecision: micro.precision,
      microRecall: micro.recall,
      exactMatch: same.length / gold.length,
      // Labels that the model does not know rank behind all others.
      labelRankingAveragePrecision: labelRankingAveragePrecision(
        rows(gold),
        predictions.map(({ scores }) => names.map((name) => scores[name] ?? -1)),
      ),
    },
  };
}

function classificationTask(name: "classification" | "multi-label", problem: Problem, description: string) {
  function* encodeSteps(row: TextRow, { names }: Settings, context: EncodeContext): Steps<Example<undefined>> {
    const sequences = [yield* encodeTextSteps(row, context)];
    if (!context.training) return { sequences, details: undefined };
    const labels = labelsOf(row, problem);
    const numbers = labels.map(labelNumbers(names));
    return {
      sequences,
      labels: problem === "single" ? Int32Array.from(numbers) : indicators(labels, names),
      details: undefined,
    };
  }
  return defineTask<TextRow, Settings, ClassificationPrediction>({
    name,
    description,
    defaults: { maxLength: 128, batchSize: 32, learningRate: 5e-5, epochs: 3 },
    options: problem === "single" ? singleOptions : multiOptions,
    settings: settingsSchema,
    texts: ({ text, pair }) => (pair === undefined ? [text] : [text, pair]),
    read: (input, options) => readTaskRows(name, input, options),
    prepare(rows, options) {
      const { classWeights, threshold = 0.5, tuneThresholds } = multiOptions.parse(options);
      const labels = rows.flatMap((row) => labelsOf(row, problem));
      const names = sortLabels(labels);
      checkSeveralLabels(names, "labels");
      return {
        names,
        weights: labelWeights(classWeights, labels, names),
        ...(problem === "multi" && {
          thresholds: Object.fromEntries(names.map((label) => [label, threshold])),
          tuneThresholds,
        }),
      };
    },
    head: ({ names }) => ({ architecture: "ForSequenceClassification", labels: names.length, names, problem }),
    fromHead: (head) =>
      head.type === "sequence-classification" && head.labels > 1 && (head.problem ?? "single") === problem
        ? { names: namesOfHead(head) }
        : undefined,
    reconcile: (wanted, inModel) => ({ ...wanted, names: reconcileNames(wanted.names, inModel.names) }),
    encode: (row, settings, context) => atOnce(encodeSteps(row, settings, context)),
    encodeSteps,
    inputs: (batch, { weights, names }) => ({
      batch,
      labels: { labels: batch.labels, classWeights: weightsInOrder(weights, names) },
    }),
    outputs: ({ logits }, batch) => rowsOfSequences(logits, batch),
    predict(_, __, logits, settings) {
      const probabilities = problem === "multi" ? Array.from(logits, sigmoid) : softmaxOf(logits);
      const scores = Object.fromEntries(settings.names.map((label, i) => [label, probabilities[i]]));
      return decided(scores, settings, problem);
    },
    ...(problem === "multi" && {
      decide: ({ scores }, settings) => decided(scores, settings, problem),
      tune(rows, predictions, settings) {
        if (settings.tuneThresholds !== true) return settings;
        const { names, thresholds = {} } = settings;
        const gold = rows.map((row) => indicators(labelsOf(row, problem), names));
        const tuned = bestLabelThresholds(
          gold,
          predictions.map(({ scores }) => names.map((label) => scores[label])),
        );
        // A label that no dev row has says nothing about its threshold.
        const known = names.map((_, i) => gold.some((row) => row[i] > 0));
        const chosen = names.map((label, i) => [label, known[i] ? tuned[i].threshold : thresholds[label]]);
        return { ...settings, thresholds: Object.fromEntries(chosen) };
      },
    }),
    checkGold: (rows) => rows.forEach((row) => void labelsOf(row, problem)),
    score(rows, predictions, settings, warnings) {
      const gold = rows.map((row) => labelsOf(row, problem));
      const placed = rows.flatMap(({ row }, i) => gold[i].map((label) => [label, row] as const));
      warnUnseen(placed, settings.names, warnings);
      if (problem === "multi") return multiScores(gold, predictions, settings);
      return singleScores(
        gold.map(([label]) => label),
        predictions.map(({ label = "" }) => label),
        settings,
      );
    },
    headline: () => (problem === "multi" ? "macroF1" : "accuracy"),
    ...(problem === "single" && {
      baseline(train, test, settings, warnings) {
        const text = (row: TextRow): string => (row.pair === undefined ? row.text : `${row.text} ${row.pair}`);
        const label = (row: TextRow): string => labelsOf(row, problem)[0];
        const { predict } = fitLinearBaseline(train.map(text), train.map(label), { sublinear: true });
        const gold = test.map(label);
        warnUnseen(
          test.map(({ row }, i) => [gold[i], row] as const),
          settings.names,
          warnings,
        );
        return singleScores(gold, predict(test.map(text)), settings);
      },
    }),
    ...(problem === "single" && { stratum: (row) => labelsOf(row, problem)[0] }),
  });
}

/** One class for a text or a pair of texts: cross-entropy, accuracy. */
export const classification = classificationTask(
  "classification",
  "single",
  "one of several classes for a text or a pair of texts",
);

/** Any number of labels for a text or a pair of texts: binary cross-entropy, macro F1, a threshold for each label. */
export const multiLabel = classificationTask(
  "multi-label",
  "multi",
  "any number of labels at once for a text or a pair of texts",
);
