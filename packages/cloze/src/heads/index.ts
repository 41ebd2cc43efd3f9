// Heads by name: one line for each.
import { type PlanBuilder, type PlanValue, scope, type Tensor } from "@cloze/tensor";
import type { z } from "zod";
import type { EncoderBatch } from "../encoder/batch.js";
import type { EncoderConfig } from "../encoder/config.js";
import { unplanned } from "../encoder/norm.js";
import { type OnnxGraph, type OnnxValue, unexported } from "../encoder/onnx.js";
import { createParameters, lookUp, type ParameterSource } from "../encoder/parameters.js";
import type { ParameterSpec } from "../encoder/part.js";
import { type ConfigInputOf, type ConfigOf, parseConfig, registrySchema } from "../encoder/registry.js";
import { ClozeError } from "../errors.js";
import { causalLanguage } from "./causal-language.js";
import type { BoundHead, HeadOutput, HeadPart, Labels } from "./head.js";
import type { OnnxOutputs } from "./head-onnx.js";
import { maskedLanguage } from "./masked-language.js";
import { multipleChoice } from "./multiple-choice.js";
import { nextSentence } from "./next-sentence.js";
import { none, pooler } from "./pooler.js";
import { pretraining } from "./pretraining.js";
import { questionAnswering } from "./question-answering.js";
import { replacedToken } from "./replaced-token.js";
import { sequenceClassification } from "./sequence-classification.js";
import { tokenClassification } from "./token-classification.js";

export type { HeadOutput, Labels } from "./head.js";

const parts = {
  none,
  pooler,
  "masked-language": maskedLanguage,
  "causal-language": causalLanguage,
  "next-sentence": nextSentence,
  pretraining,
  "replaced-token": replacedToken,
  "sequence-classification": sequenceClassification,
  "token-classification": tokenClassification,
  "question-answering": questionAnswering,
  "multiple-choice": multipleChoice,
};

export type HeadConfig = ConfigOf<typeof parts>;
export type HeadConfigInput = ConfigInputOf<typeof parts>;
export const headSchema = registrySchema("head", parts);

/** Checks a head's configuration. @throws CONFIG_INVALID */
export const parseHeadConfig = (config: unknown): HeadConfig => parseConfig(headSchema, config, "The head");

function bindHead(config: HeadConfig, encoder: EncoderConfig): BoundHead {
  const part: HeadPart<z.ZodType<HeadConfig>> = parts[config.type];
  return part.bind(config, encoder);
}

/** The names, shapes and initial values of a head's parameters. */
export const headSpecs = (config: HeadConfig, encoder: EncoderConfig): readonly ParameterSpec[] =>
  bindHead(config, encoder).parameters;

export interface HeadOptions {
  training?: boolean;
  seed?: number;
}

/** A head with its parameters. */
export interface Head {
  readonly config: HeadConfig;
  readonly parameters: Map<string, Tensor>;
  /** hidden: [tokens, hidden] of the batch. */
  forward(hidden: Tensor, batch: EncoderBatch, labels?: Labels, options?: HeadOptions): HeadOutput;
  /**
   * Mean cross-entropy of a language model's predictions for chosen rows; nothing is computed for the others.
   *
   * @param hidden [tokens, hidden]
   * @param rows rows of `hidden` to predict
   * @param targets the ids that stood there
   * @throws HEAD_MISMATCH when this head predicts no tokens
   */
  maskedLanguageLoss(hidden: Tensor, rows: Int32Array, targets: Int32Array): Tensor;
  /**
   * The largest logit of each sequence for each token of the vocabulary, without the logits of all tokens: [sequences, vocabulary]
   *
   * @param hidden [tokens, hidden]
   * @throws HEAD_MISMATCH when this head predicts no tokens
   */
  peaks(hidden: Tensor, batch: EncoderBatch, options?: HeadOptions): Tensor;
  /** The tokens that mixers with global tokens take where the batch names none. [tokens] */
  globalTokens(batch: EncoderBatch): Uint8Array | undefined;
  /** What the head makes of hidden states (its logits), in a plan. @throws PLAN_UNSUPPORTED */
  plan(hidden: PlanValue, builder: PlanBuilder): PlanValue;
  /** The output of such a plan, as `forward` gives it without labels. values: [tokens or sequences, width] */
  fromPlan(values: Tensor): HeadOutput;
  /** The head's outputs in an ONNX graph. hidden: [batch, sequence, hidden]. @throws ONNX_UNSUPPORTED */
  onnx(hidden: OnnxValue, graph: OnnxGraph): OnnxOutputs;
  dispose(): void;
}

/**
 * Makes a head for an encoder.
 *
 * @param wordTable gives the encoder's word embeddings, for decoders that share them
 * @throws WEIGHT_SHAPE, and what the source throws
 */
export function createHead(
  config: HeadConfig,
  encoder: EncoderConfig,
  source: ParameterSource,
  wordTable: () => Tensor,
): Head {
  const bound = bindHead(config, encoder);
  const parameters = createParameters(bound.parameters, source, encoder.initializerRange);
  const contextOf = ({ training = false, seed = 0 }: HeadOptions) => ({
    parameter: (name: string) => lookUp(parameters, name),
    wordTable,
    training,
    seed,
  });
  const predicting = <Part>(part: Part | undefined): Part => {
    if (part !== undefined) return part;
    throw new ClozeError("HEAD_MISMATCH", "This model's head predicts no tokens", {
      expected: "a language modelling head",
      received: config.type,
      remedy: "Load or make the model as ForMaskedLM.",
    });
  };
  return {
    config,
    parameters,
    forward: (hidden, batch, labels = {}, options = {}) =>
      scope(() => bound.forward(hidden, batch, labels, contextOf(options))),
    maskedLanguageLoss(hidden, rows, targets) {
      const loss = predicting(bound.maskedLanguageLoss);
      return scope(() => loss(hidden, rows, targets, contextOf({})));
    },
    peaks(hidden, batch, options = {}) {
      const peaks = predicting(bound.peaks);
      return scope(() => peaks(hidden, batch, contextOf(options)));
    },
    globalTokens: (batch) => bound.globalTokens?.(batch),
    plan(hidden, builder) {
      if (bound.plan === undefined) throw unplanned(`the head "${config.type}"`);
      return bound.plan(hidden, (name) => lookUp(parameters, name), builder, wordTable);
    },
    fromPlan: (values) => scope(() => bound.fromPlan?.(values, contextOf({})) ?? { logits: values }),
    onnx(hidden, graph) {
      if (bound.onnx === undefined) throw unexported(`the head "${config.type}"`);
      return bound.onnx(hidden, { graph, parameter: (name) => lookUp(parameters, name), wordTable });
    },
    dispose() {
      for (const parameter of parameters.values()) parameter.dispose();
    },
  };
}
