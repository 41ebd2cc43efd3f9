// Predicting tokens: BERT's transform, and a decoder that shares the word embeddings.
import {
  crossEntropy,
  linear,
  linearCrossEntropy,
  linearSegmentMax,
  type PlanBuilder,
  type PlanValue,
  type Tensor,
  take,
  tensor,
} from "@cloze/tensor";
import { z } from "zod";
import type { EncoderBatch } from "../encoder/batch.js";
import type { EncoderConfig } from "../encoder/config.js";
import { bindEmbeddings } from "../encoder/embeddings/index.js";
import type { OnnxValue } from "../encoder/onnx.js";
import type { ParameterSpec } from "../encoder/part.js";
import { ClozeError } from "../errors.js";
import { checkCount, classLabels, defineHead, type HeadContext, type HeadOutput, type Labels } from "./head.js";
import { type OnnxHeadAccess, type OnnxOutput, onnxTransform } from "./head-onnx.js";
import { applyTransform, planTransform, transformSchema, transformSpecs } from "./head-transform.js";

/** What heads that predict tokens share. */
export const languageFields = {
  /** The decoder's matrix is the table of word embeddings. */
  tied: z.boolean().default(true),
  /** Before the decoder; it gives vectors as wide as the word embeddings. Default: BERT's. */
  transform: transformSchema.prefault({ activation: "gelu", norm: true }),
  decoderBias: z.boolean().default(true),
};
export type LanguageConfig = z.output<ReturnType<typeof z.strictObject<typeof languageFields>>>;

const widthOf = (encoder: EncoderConfig): number => bindEmbeddings(encoder.embeddings, encoder).wordWidth;

/** The parameters of the prediction head. */
export function languageSpecs({ tied, transform, decoderBias }: LanguageConfig, encoder: EncoderConfig) {
  const { vocabularySize, hiddenSize } = encoder;
  const width = widthOf(encoder);
  if (vocabularySize === 0) {
    throw new ClozeError("CONFIG_INVALID", "The head predicts tokens, but the encoder reads none", {
      expected: "a vocabulary",
      received: "vocabularySize 0",
    });
  }
  if (transform === null && width !== hiddenSize) {
    throw new ClozeError("CONFIG_INVALID", "The head: a decoder of another width than the encoder needs a transform", {
      expected: `word embeddings of width ${hiddenSize}`,
      received: String(width),
    });
  }
  return [
    ...transformSpecs("transform", transform, encoder, hiddenSize, width),
    ...(tied ? [] : [{ name: "decoder.weight", shape: [vocabularySize, width], initial: "normal" as const }]),
    ...(decoderBias ? [{ name: "decoder.bias", shape: [vocabularySize], initial: "zeros" as const }] : []),
  ] satisfies ParameterSpec[];
}

/** What the decoder reads, its matrix and its bias. hidden: [rows, hidden] */
function decoderInputs(
  hidden: Tensor,
  { tied, transform, decoderBias }: LanguageConfig,
  encoder: EncoderConfig,
  context: HeadContext,
): [transformed: Tensor, weight: Tensor, bias: Tensor | undefined] {
  const { parameter, wordTable } = context;
  return [
    applyTransform("transform", hidden, transform, encoder, context),
    tied ? wordTable() : parameter("decoder.weight"),
    decoderBias ? parameter("decoder.bias") : undefined,
  ];
}

/** Logits of rows. hidden: [rows, hidden] -> [rows, vocabulary] */
export const languageLogits = (...given: Parameters<typeof decoderInputs>): Tensor =>
  linear(...decoderInputs(...given));

/** The largest logits of each sequence, without those of all tokens. hidden: [tokens, hidden] -> [sequences, vocabulary] */
export const languagePeaks = (
  hidden: Tensor,
  { offsets }: EncoderBatch,
  ...rest: [LanguageConfig, EncoderConfig, HeadContext]
): Tensor => linearSegmentMax(...decoderInputs(hidden, ...rest), tensor(offsets));

/** Logits of all tokens in a plan. */
export function planLanguageLogits(
  hidden: PlanValue,
  { tied, transform, decoderBias }: LanguageConfig,
  encoder: EncoderConfig,
  parameter: (name: string) => Tensor,
  builder: PlanBuilder,
  wordTable: () => Tensor,
): PlanValue {
  return builder.linear(
    planTransform("transform", hidden, transform, encoder, parameter, builder),
    tied ? wordTable() : parameter("decoder.weight"),
    decoderBias ? parameter("decoder.bias") : undefined,
    { weights: "float32" },
  );
}

/** Logits of all tokens in an ONNX graph. */
export function onnxLanguageLogits(
  hidden: OnnxValue,
  { tied, transform, decoderBias }: LanguageConfig,
  encoder: EncoderConfig,
  access: OnnxHeadAccess,
): OnnxOutput {
  const { graph, parameter, wordTable } = access;
  const value = graph.linear(
    onnxTransform("transform", hidden, transform, encoder, access),
    tied ? wordTable() : parameter("decoder.weight"),
    decoderBias ? parameter("decoder.bias") : undefined,
  );
  return { value, per: "token", width: encoder.vocabularySize };
}

/** The sum of nothing is 0, its mean is no number. */
const reductionOf = (targets: Int32Array): "mean" | "sum" =>
  targets.some((target) => target !== -100) ? "mean" : "sum";

/** Mean cross-entropy of the rows that count; 0 when none does. */
export const rowLoss = (logits: Tensor, targets: Int32Array): Tensor =>
  crossEntropy(logits, tensor(targets), { reduction: reductionOf(targets) });

/** Logits (and loss, or the loss alone) for the rows that labels ask for: `rows` only, or all. */
export function predictTokens(
  hidden: Tensor,
  { rows, targets, labels, lossOnly = false, rowLoss: lossOfRows }: Labels,
  config: LanguageConfig,
  encoder: EncoderConfig,
  context: HeadContext,
): HeadOutput {
  if (rows === undefined && targets !== undefined) {
    throw new ClozeError("LABELS_SHAPE", "Targets say what stood in rows, so rows are needed", {
      remedy: "Give rows too, or one label for each token.",
    });
  }
  const chosen = rows === undefined ? hidden : take(hidden, tensor(rows));
  const wanted = rows === undefined ? labels : targets;
  if (wanted === undefined) return { logits: languageLogits(chosen, config, encoder, context) };
  checkCount("Labels of tokens", wanted, chosen.shape[0]);
  const ids = classLabels("Labels of tokens", wanted);
  if (lossOnly) {
    const options = { reduction: reductionOf(ids), rowLoss: lossOfRows?.(chosen) };
    return { loss: linearCrossEntropy(...decoderInputs(chosen, config, encoder, context), tensor(ids), options) };
  }
  const logits = languageLogits(chosen, config, encoder, context);
  return { logits, loss: rowLoss(logits, ids) };
}

/** Masked language modelling (arXiv 1810.04805). */
export const maskedLanguage = defineHead({
  schema: z.strictObject({ type: z.literal("masked-language"), ...languageFields }),
  bind: (config, encoder) => ({
    parameters: languageSpecs(config, encoder),
    forward: (hidden, _, labels, context) => predictTokens(hidden, labels, config, encoder, context),
    maskedLanguageLoss: (hidden, rows, targets, context) =>
      predictTokens(hidden, { rows, targets, lossOnly: true }, config, encoder, context).loss as Tensor,
    peaks: (hidden, batch, context) => languagePeaks(hidden, batch, config, encoder, context),
    plan: (hidden, parameter, builder, wordTable) =>
      planLanguageLogits(hidden, config, encoder, parameter, builder, wordTable),
    onnx: (hidden, access) => ({ logits: onnxLanguageLogits(hidden, config, encoder, access) }),
  }),
});
