// Predicting tokens: BERT's transform, and a decoder that shares the word embeddings.
import { crossEntropy, layerNorm, linear, type Tensor, take, tensor } from "@cloze/tensor";
import { z } from "zod";
import type { EncoderConfig } from "../encoder/config.js";
import { normSpecs } from "../encoder/layer.js";
import type { ParameterSpec } from "../encoder/part.js";
import { ClozeError } from "../errors.js";
import {
  checkCount,
  classLabels,
  defineHead,
  dense,
  denseSpecs,
  type HeadContext,
  type HeadOutput,
  type Labels,
} from "./head.js";

/** What heads that predict tokens share. */
export const languageFields = {
  /** The decoder's matrix is the table of word embeddings. */
  tied: z.boolean().default(true),
  activation: z.enum(["none", "gelu", "geluTanh", "relu", "silu", "tanh"]).default("gelu"),
};

interface LanguageConfig {
  readonly tied: boolean;
  readonly activation: "none" | "gelu" | "geluTanh" | "relu" | "silu" | "tanh";
}

/** The parameters of the prediction head. */
export const languageSpecs = ({ tied }: LanguageConfig, { hiddenSize, vocabularySize }: EncoderConfig) =>
  [
    ...denseSpecs("transform", hiddenSize, hiddenSize),
    ...normSpecs("transformNorm", hiddenSize),
    ...denseSpecs("decoder", vocabularySize, hiddenSize).filter(({ name }) => !tied || name === "decoder.bias"),
  ] satisfies ParameterSpec[];

/** Logits of rows. hidden: [rows, hidden] -> [rows, vocabulary] */
export function languageLogits(
  hidden: Tensor,
  { tied, activation }: LanguageConfig,
  epsilon: number,
  context: HeadContext,
): Tensor {
  const { parameter, wordTable } = context;
  const transformed = dense("transform", hidden, context, { activation });
  const normed = layerNorm(transformed, parameter("transformNorm.weight"), parameter("transformNorm.bias"), {
    epsilon,
  });
  return linear(normed, tied ? wordTable() : parameter("decoder.weight"), parameter("decoder.bias"));
}

/** Mean cross-entropy of the rows that count; 0 when none does. */
export const rowLoss = (logits: Tensor, targets: Int32Array): Tensor =>
  crossEntropy(logits, tensor(targets), { reduction: targets.some((target) => target !== -100) ? "mean" : "sum" });

/** Logits (and loss) for the rows that labels ask for: `rows` only, or all. */
export function predictTokens(
  hidden: Tensor,
  { rows, targets, labels }: Labels,
  config: LanguageConfig,
  epsilon: number,
  context: HeadContext,
): HeadOutput {
  if (rows === undefined && targets !== undefined) {
    throw new ClozeError("LABELS_SHAPE", "Targets say what stood in rows, so rows are needed", {
      remedy: "Give rows too, or one label for each token.",
    });
  }
  const logits = languageLogits(rows === undefined ? hidden : take(hidden, tensor(rows)), config, epsilon, context);
  const wanted = rows === undefined ? labels : targets;
  if (wanted === undefined) return { logits };
  checkCount("Labels of tokens", wanted, rows?.length ?? hidden.shape[0]);
  return { logits, loss: rowLoss(logits, classLabels("Labels of tokens", wanted)) };
}

/** Masked language modelling (arXiv 1810.04805). */
export const maskedLanguage = defineHead({
  schema: z.strictObject({ type: z.literal("masked-language"), ...languageFields }),
  bind(config, encoder) {
    const { normEpsilon } = encoder;
    return {
      parameters: languageSpecs(config, encoder),
      forward: (hidden, _, labels, context) => predictTokens(hidden, labels, config, normEpsilon, context),
      maskedLanguageLoss: (hidden, rows, targets, context) =>
        predictTokens(hidden, { rows, targets }, config, normEpsilon, context).loss as Tensor,
    };
  },
});
