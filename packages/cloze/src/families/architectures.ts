// What Hugging Face's class names say about the head.
import type { ActivationName } from "@cloze/tensor";
import { ClozeError } from "../errors.js";
import type { HeadConfig, HeadConfigInput } from "../heads/index.js";

/** What a head is made from, as far as it has a use for it. */
export interface HeadFields {
  /** Number of labels of a classifier. Default: as many as there are names, or 2. */
  labels?: number;
  /** Their names. */
  names?: readonly string[];
  /** What a sequence classifier predicts; see its head. */
  problem?: "regression" | "single" | "multi";
  /** Of the classifier. Default 0.1. */
  dropout?: number;
  /** Of the transform before the decoder. Default "gelu". */
  activation?: ActivationName;
  /** The decoder shares the word embeddings. Default true. */
  tied?: boolean;
}

const heads: Readonly<Record<string, (fields: HeadFields) => HeadConfigInput>> = {
  Model: () => ({ type: "pooler" }),
  ForMaskedLM: ({ tied, activation }) => ({ type: "masked-language", tied, activation }),
  LMHeadModel: ({ tied, activation }) => ({ type: "causal-language", tied, activation }),
  ForNextSentencePrediction: () => ({ type: "next-sentence" }),
  ForPreTraining: ({ tied, activation }) => ({ type: "pretraining", tied, activation }),
  ForSequenceClassification: ({ labels, names, problem, dropout }) => ({
    type: "sequence-classification",
    labels,
    names,
    problem,
    dropout,
  }),
  ForTokenClassification: ({ labels, names, dropout }) => ({ type: "token-classification", labels, names, dropout }),
  ForQuestionAnswering: () => ({ type: "question-answering" }),
};

/** Architectures that every family knows, without the family's prefix: "Model", "ForMaskedLM" … */
export const architectures: readonly string[] = Object.keys(heads);

/**
 * "BertForMaskedLM" -> "ForMaskedLM"; a name without prefix stays as it is.
 *
 * @throws ARCHITECTURE_UNKNOWN
 */
export function architectureOf(className: string): string {
  const found = architectures
    .filter((name) => className.endsWith(name))
    .sort((a, b) => b.length - a.length)
    .find((name) => name !== "Model" || /^(?!.*For)\w*Model$/.test(className));
  if (found !== undefined) return found;
  throw new ClozeError("ARCHITECTURE_UNKNOWN", `Cloze has no model class ${className}`, {
    expected: architectures.join(", "),
    received: className,
  });
}

/** The head of an architecture. */
export const headOf = (architecture: string, fields: HeadFields = {}): HeadConfigInput =>
  heads[architectureOf(architecture)]({ ...fields, labels: fields.labels ?? fields.names?.length });

/** The architecture of a head: what `headOf` undoes. */
export function architectureOfHead({ type }: HeadConfig): string {
  if (type === "none") return "Model";
  return architectures.find((name) => heads[name]({}).type === type) ?? "Model";
}
