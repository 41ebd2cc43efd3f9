// What Hugging Face's class names say about the head.
import type { ActivationName } from "@cloze/tensor";
import { ClozeError } from "../errors.js";
import type { TransformInput } from "../heads/head-transform.js";
import type { HeadConfig, HeadConfigInput } from "../heads/index.js";
import type { Family } from "./family.js";

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
  /** Of the classifier of tokens, and of answers, where it is another. */
  tokenDropout?: number;
  /** Of the classifier of choices, where that is told apart. */
  choiceDropout?: number;
  answerDropout?: number;
  /** The classifier has a bias. Default true. */
  bias?: boolean;
  /** How a sequence becomes one vector. Default "first". */
  pooling?: "first" | "last" | "mean" | "max";
  /** The dense layer over that vector; null: none. Default: BERT's pooler. */
  pooler?: TransformInput;
  /** Of the transform before the decoder of language models. Default "gelu". */
  activation?: ActivationName;
  /** That transform in full, or null for none. */
  transform?: TransformInput;
  /** The dense layer before the classifier of tokens and answers. Default: none. */
  tokenTransform?: TransformInput;
  /** The classifier of tokens is a conditional random field. Default false. */
  crf?: boolean;
  /** The decoder shares the word embeddings. Default true. */
  tied?: boolean;
  /** The decoder has a bias. Default true. */
  decoderBias?: boolean;
  /** The id of the token that separates two texts, for heads whose global tokens depend on it. */
  separatorId?: number;
  /** The feed-forward before the scores of answers. Default: none. */
  answerFeedForward?: { intermediateSize: number; activation?: ActivationName };
}

const language = ({ tied, activation, transform, decoderBias }: HeadFields) => ({
  tied,
  decoderBias,
  transform: transform === undefined ? { activation: activation ?? "gelu", norm: true } : transform,
});
const pooled = ({ pooling, pooler }: HeadFields) => ({ pooling, pooler });
const classifier = ({ labels, names, dropout, bias }: HeadFields) => ({ labels, names, dropout, bias });

type HeadMaker = (fields: HeadFields) => HeadConfigInput;

const heads: Readonly<Record<string, HeadMaker>> = {
  Model: (fields) => ({ type: "pooler", ...pooled(fields) }),
  ForMaskedLM: (fields) => ({ type: "masked-language", ...language(fields) }),
  LMHeadModel: (fields) => ({ type: "causal-language", ...language(fields) }),
  ForNextSentencePrediction: (fields) => ({ type: "next-sentence", ...pooled(fields) }),
  ForPreTraining: (fields) => ({ type: "pretraining", ...language(fields), ...pooled(fields) }),
  ForReplacedTokenDetection: ({ activation }) => ({ type: "replaced-token", activation }),
  ForSequenceClassification: (fields) => ({
    type: "sequence-classification",
    ...classifier(fields),
    ...pooled(fields),
    problem: fields.problem,
  }),
  ForTokenClassification: (fields) => ({
    type: "token-classification",
    ...classifier(fields),
    dropout: fields.tokenDropout ?? fields.dropout,
    transform: fields.tokenTransform,
    crf: fields.crf,
  }),
  ForQuestionAnswering: ({ tokenTransform, answerDropout, separatorId, answerFeedForward }) => ({
    type: "question-answering",
    transform: tokenTransform,
    dropout: answerDropout,
    separatorId,
    feedForward: answerFeedForward,
  }),
  ForMultipleChoice: ({ dropout, bias, separatorId, ...fields }) => ({
    type: "multiple-choice",
    dropout,
    bias,
    separatorId,
    ...pooled(fields),
  }),
};

type WithHeads = Pick<Family, "heads">;

/** Architectures that a family knows, without its prefix: "Model", "ForMaskedLM" … */
export const architecturesOf = (family: WithHeads = {}): string[] => [
  ...new Set([...Object.keys(family.heads ?? {}), ...Object.keys(heads)]),
];

/** Architectures that every family knows. */
export const architectures: readonly string[] = architecturesOf();

/**
 * "BertForMaskedLM" -> "ForMaskedLM"; a name without prefix stays as it is.
 *
 * @throws ARCHITECTURE_UNKNOWN
 */
export function architectureOf(className: string, family: WithHeads = {}): string {
  const known = architecturesOf(family);
  const found = known
    .filter((name) => className.endsWith(name))
    .sort((a, b) => b.length - a.length)
    .find((name) => name !== "Model" || /^(?!.*For[A-Z])\w*Model$/.test(className));
  if (found !== undefined) return found;
  throw new ClozeError("ARCHITECTURE_UNKNOWN", `Cloze has no model class ${className}`, {
    expected: known.join(", "),
    received: className,
  });
}

/** The head of an architecture. */
export function headOf(architecture: string, fields: HeadFields = {}, family: WithHeads = {}): HeadConfigInput {
  const maker = { ...heads, ...family.heads }[architectureOf(architecture, family)];
  return maker({ ...fields, labels: fields.labels ?? fields.names?.length });
}

/** The architecture of a head, as a family names it: what `headOf` undoes. */
export function architectureOfHead({ type }: HeadConfig, family: WithHeads = {}): string {
  if (type === "none") return "Model";
  const makers = { ...heads, ...family.heads };
  return architecturesOf(family).find((name) => makers[name]({}).type === type) ?? "Model";
}
