// The baseline that any encoder has to beat: TF-IDF and logistic regression.
import { readFileSync } from "node:fs";
import { writeFileAtomic } from "@cloze/tensor";
import { z } from "zod";
import { ClozeError } from "../errors.js";
import { classProbabilities, fitLogisticRegression, type LinearClassifier } from "./logistic-regression.js";
import { fitTfIdf, type TfIdf, type TfIdfOptions, tfIdfRows } from "./tf-idf.js";

export interface LinearBaselineOptions extends TfIdfOptions {
  /** scikit-learn's C: the larger, the less the coefficients are held back. Default 1. */
  inverseRegularization?: number;
  /** One softmax, or each class by itself. Default "multinomial". */
  scheme?: "multinomial" | "one-vs-rest";
  /** "balanced": each class weighs as much as any other, however rare. Default: each text weighs as much. */
  classWeights?: "balanced";
  /** Stops where no number of the gradient of the mean loss is further from 0. Default 1e-6. */
  tolerance?: number;
  /** Default 1000. */
  iterations?: number;
}

/** A text classifier. */
export interface LinearBaseline {
  /** In the order of the probabilities. */
  readonly labels: readonly string[];
  readonly tfIdf: TfIdf;
  readonly classifier: LinearClassifier;
  /** How the fit ended; not there after loading. */
  readonly fit?: { readonly losses: readonly number[]; readonly iterations: number; readonly converged: boolean };
  /** The likeliest label of each text. */
  predict(texts: readonly string[]): string[];
  /** The probability of each label, for each text. */
  predictProbabilities(texts: readonly string[]): Float64Array[];
  /** Writes everything to one JSON file. */
  save(path: string): void;
}

const rangeSchema = z.tuple([z.int().min(1), z.int().min(1)]).nullable();
const fileSchema = z.strictObject({
  format: z.literal("cloze-linear-baseline"),
  version: z.literal(1),
  labels: z.array(z.string()).min(2),
  settings: z.strictObject({
    words: rangeSchema,
    characters: rangeSchema,
    minimumTexts: z.number(),
    sublinear: z.boolean(),
  }),
  blocks: z.array(
    z.strictObject({ kind: z.enum(["words", "characters"]), terms: z.array(z.string()), weights: z.array(z.number()) }),
  ),
  scheme: z.enum(["multinomial", "one-vs-rest"]),
  coefficients: z.array(z.number()),
  intercepts: z.array(z.number()),
});
type File = z.output<typeof fileSchema>;

function assemble(
  labels: readonly string[],
  tfIdf: TfIdf,
  classifier: LinearClassifier,
  fit?: LinearBaseline["fit"],
): LinearBaseline {
  const predictProbabilities = (texts: readonly string[]) => classProbabilities(tfIdfRows(tfIdf, texts), classifier);
  return {
    labels,
    tfIdf,
    classifier,
    fit,
    predictProbabilities,
    predict: (texts) => predictProbabilities(texts).map((row) => labels[row.indexOf(Math.max(...row))]),
    save(path) {
      const { words, characters, ...rest } = tfIdf.settings;
      const copy = (range: readonly [number, number] | null) => range && ([...range] as [number, number]);
      const file: File = {
        format: "cloze-linear-baseline",
        version: 1,
        labels: [...labels],
        settings: { words: copy(words), characters: copy(characters), ...rest },
        blocks: tfIdf.blocks.map(({ kind, terms, weights }) => ({
          kind,
          terms: [...terms],
          weights: Array.from(weights),
        })),
        scheme: classifier.scheme,
        coefficients: Array.from(classifier.coefficients),
        intercepts: Array.from(classifier.intercepts),
      };
      writeFileAtomic(path, JSON.stringify(file));
    },
  };
}

function checkRows(texts: readonly string[], labels: readonly string[], names: readonly string[]): void {
  if (texts.length !== labels.length) {
    throw new ClozeError("LABELS_SHAPE", "A classifier takes one label for each text", {
      expected: `${texts.length} labels`,
      received: String(labels.length),
    });
  }
  if (names.length < 2) {
    throw new ClozeError("LABELS_ONE_CLASS", "The training rows hold one label only, or none", {
      expected: "at least two labels",
      received: names.join(", ") || "none",
    });
  }
}

/**
 * Fits TF-IDF of word n-grams (and of character n-grams, where asked) and a logistic regression on it: what scikit-learn
 * computes with TfidfVectorizer and LogisticRegression.
 *
 * @param labels one for each text
 * @throws LABELS_SHAPE, LABELS_ONE_CLASS, VOCABULARY_EMPTY, INVALID_OPTION
 * @example
 * const baseline = fitLinearBaseline(texts, labels, { characters: [2, 5] });
 * baseline.predict(["a gripping film"]); // ["positive"]
 */
export function fitLinearBaseline(
  texts: readonly string[],
  labels: readonly string[],
  options: LinearBaselineOptions = {},
): LinearBaseline {
  const names = [...new Set(labels)].sort();
  checkRows(texts, labels, names);
  const { inverseRegularization = 1, scheme, classWeights, tolerance, iterations } = options;
  if (!(inverseRegularization > 0)) {
    throw new ClozeError("INVALID_OPTION", "inverseRegularization is out of range", {
      expected: "a number above 0",
      received: String(inverseRegularization),
    });
  }
  const tfIdf = fitTfIdf(texts, options);
  const numbers = new Map(names.map((name, i) => [name, i]));
  const targets = Int32Array.from(labels, (label) => numbers.get(label) as number);
  const counts = new Float64Array(names.length);
  for (const target of targets) counts[target]++;
  const rowWeights =
    classWeights === "balanced"
      ? Float64Array.from(targets, (target) => targets.length / (names.length * counts[target]))
      : undefined;
  const settings = { inverseRegularization, scheme, rowWeights, tolerance, iterations };
  const { classifier, ...fit } = fitLogisticRegression(tfIdfRows(tfIdf, texts), targets, names.length, settings);
  return assemble(names, tfIdf, classifier, fit);
}

/**
 * Reads what `save` wrote.
 *
 * @throws LINEAR_BASELINE_INVALID
 */
export function loadLinearBaseline(path: string): LinearBaseline {
  const invalid = (received: string) =>
    new ClozeError("LINEAR_BASELINE_INVALID", `${path} holds no linear baseline`, {
      expected: "a JSON file that save() wrote",
      received,
    });
  let parsed: ReturnType<typeof fileSchema.safeParse>;
  try {
    parsed = fileSchema.safeParse(JSON.parse(readFileSync(path, "utf8")));
  } catch (error) {
    throw invalid((error as Error).message);
  }
  if (!parsed.success) {
    const [{ path: field, message }] = parsed.error.issues;
    throw invalid(`${field.map(String).join(".") || "the whole"}: ${message}`);
  }
  const { labels, settings, blocks, scheme, coefficients, intercepts } = parsed.data;
  const width = blocks.reduce((total, { terms }) => total + terms.length, 0);
  const lines = labels.length === 2 ? 1 : labels.length;
  const fits =
    intercepts.length === lines &&
    coefficients.length === width * lines &&
    blocks.every(({ kind, terms, weights }) => terms.length === weights.length && settings[kind] !== null);
  if (!fits) throw invalid(`${coefficients.length} coefficients for ${width} n-grams and ${labels.length} labels`);
  return assemble(
    labels,
    { settings, blocks: blocks.map((block) => ({ ...block, weights: Float64Array.from(block.weights) })), width },
    {
      scheme,
      classes: labels.length,
      coefficients: Float64Array.from(coefficients),
      intercepts: Float64Array.from(intercepts),
    },
  );
}
