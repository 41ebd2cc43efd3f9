// Labels by name and by number.
import { z } from "zod";
import type { DataWarnings } from "../data/readers/index.js";
import { ClozeError } from "../errors.js";
import { defaultNames } from "../families/labels.js";
import type { HeadConfig } from "../heads/index.js";

const shown = (names: Iterable<string>): string => {
  const all = [...names];
  return `${all.slice(0, 12).join(", ")}${all.length > 12 ? `, … (${all.length})` : ""}`;
};

/** Distinct labels in a stable order: numbers by value, names by code units. */
export function sortLabels(labels: Iterable<string>): string[] {
  const all = [...new Set(labels)];
  const numeric = all.every((label) => /^-?\d+$/.test(label));
  return all.sort((a, b) => (numeric ? Number(a) - Number(b) : a < b ? -1 : 1));
}

/** @throws LABELS_ONE_CLASS */
export function checkSeveralLabels(names: readonly string[], what: string): void {
  if (names.length > 1) return;
  throw new ClozeError(
    "LABELS_ONE_CLASS",
    `The training rows hold ${names.length === 0 ? "no label" : "one label only"}`,
    {
      expected: `at least two ${what}`,
      received: names.length === 0 ? "none" : JSON.stringify(names[0]),
      remedy: "Check the label column; a classifier of one class has nothing to learn.",
    },
  );
}

/** Whether these are what transformers calls labels that nobody named. */
const unnamed = (names: readonly string[]): boolean => defaultNames(names.length).every((name, i) => name === names[i]);

/** The names of a head's labels, also where nobody named them. */
export const namesOfHead = (head: HeadConfig): readonly string[] =>
  "labels" in head ? (head.names ?? defaultNames(head.labels)) : [];

/**
 * The names to train with where the model already has a classifier: the model's own order, when it knows every label of
 * the data; the data's, when the model's labels have no names and are as many.
 *
 * @throws LABEL_MAP_MISMATCH
 */
export function reconcileNames(data: readonly string[], inModel: readonly string[]): readonly string[] {
  const known = new Set(inModel);
  if (data.every((name) => known.has(name))) return inModel;
  if (unnamed(inModel) && inModel.length === data.length) return data;
  throw new ClozeError("LABEL_MAP_MISMATCH", "The model was trained for other labels than the data has", {
    expected: shown(inModel),
    received: shown(data),
    remedy: "Map the data's labels to the model's; or allow mismatched labels, and the classifier is made anew.",
  });
}

/** Weights of labels in the order of their names; 1 where there is none. */
export const weightsInOrder = (
  weights: Readonly<Record<string, number>> | undefined,
  names: readonly string[],
): Float32Array | undefined => weights && Float32Array.from(names, (name) => weights[name] ?? 1);

/** What labels weigh: as given (each must be a label), or n / (labels x count), as scikit-learn balances. @throws LABEL_UNKNOWN */
export function labelWeights(
  wanted: "balanced" | Readonly<Record<string, number>> | undefined,
  labels: Iterable<string>,
  names: readonly string[],
): Record<string, number> | undefined {
  if (wanted === undefined) return undefined;
  if (wanted !== "balanced") {
    Object.keys(wanted).forEach(labelNumbers(names));
    return { ...wanted };
  }
  const counts = new Map(names.map((name) => [name, 0]));
  for (const label of labels) counts.set(label, (counts.get(label) ?? 0) + 1);
  const total = [...counts.values()].reduce((a, b) => a + b, 0);
  return Object.fromEntries([...counts].map(([name, count]) => [name, total / (names.length * Math.max(1, count))]));
}

/** How one says what labels weigh. */
export const weightsOption = z
  .union([z.literal("balanced"), z.record(z.string(), z.number().positive())])
  .optional()
  .describe('what labels weigh in the loss: balanced, or {"label": weight}');

/** The number of a label. @throws LABEL_UNKNOWN */
export function labelNumbers(names: readonly string[]): (label: string) => number {
  const numbers = new Map(names.map((name, i) => [name, i]));
  return (label) => {
    const found = numbers.get(label);
    if (found !== undefined) return found;
    throw new ClozeError("LABEL_UNKNOWN", "The model does not know this label", {
      expected: shown(names),
      received: JSON.stringify(label),
    });
  };
}

/** Counts labels of scored rows that the model cannot predict. */
export function warnUnseen(
  labels: Iterable<readonly [label: string, row: number]>,
  names: readonly string[],
  warnings: DataWarnings,
): void {
  const known = new Set(names);
  for (const [label, row] of labels) {
    if (known.has(label)) continue;
    warnings.add("LABEL_UNSEEN", "labels that the model does not know; they count as errors", `row ${row}, ${label}`);
  }
}
