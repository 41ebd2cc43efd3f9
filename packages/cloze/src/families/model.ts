// An encoder with a head: what is trained, saved and loaded.
import { scope, type Tensor } from "@cloze/tensor";
import type { EncoderBatch } from "../encoder/batch.js";
import type { EncoderConfig, EncoderConfigInput } from "../encoder/config.js";
import { createEncoder, type Encoder, type EncoderOptions, type EncoderOutput } from "../encoder/encoder.js";
import { lookUp, type ParameterSource } from "../encoder/parameters.js";
import { deriveSeed } from "../encoder/seeds.js";
import {
  createHead,
  type Head,
  type HeadConfig,
  type HeadConfigInput,
  type HeadOutput,
  type Labels,
  parseHeadConfig,
} from "../heads/index.js";
import { architectureOf, architectureOfHead, type HeadFields, headOf } from "./architectures.js";

export type ModelOptions = EncoderOptions & Labels;
export type ModelOutput = EncoderOutput & HeadOutput;

export interface Model {
  readonly config: EncoderConfig;
  /** The class without its family's prefix: "Model", "ForMaskedLM", "ForSequenceClassification" … */
  readonly architecture: string;
  readonly encoder: Encoder;
  readonly head: Head;
  /** Every parameter once: the encoder's as `encoder.…`, the head's as `head.…`. */
  readonly parameters: Map<string, Tensor>;
  /** The `config.json` that the model was loaded from; fields that Cloze does not know are written back. */
  readonly source?: Readonly<Record<string, unknown>>;
  /** Parameters that the loaded file did not have (or not in this shape), and that were made anew. */
  readonly initialized: readonly string[];
  /** Tensors of the loaded file that the model has no use for. */
  readonly unused: readonly string[];
  /** Tensors of the loaded file that are written back as they are. */
  readonly carried: ReadonlyMap<string, Tensor>;
  /**
   * Runs a packed batch: hidden states, what the head makes of them, and the loss when labels are given.
   *
   * @throws what `Encoder.forward` throws, LABELS_SHAPE, LABELS_KIND, TARGET_OUT_OF_RANGE, EMPTY_SEQUENCE
   */
  forward(batch: EncoderBatch, options?: ModelOptions): ModelOutput;
  dispose(): void;
}

/** Where a model comes from. */
export type ModelOrigin = Partial<Pick<Model, "source" | "initialized" | "unused" | "carried">>;

/** Puts an encoder and a head together. The model then owns both, and what it carries. */
export function assembleModel(
  encoder: Encoder,
  head: Head,
  { source, initialized = [], unused = [], carried = new Map() }: ModelOrigin = {},
): Model {
  const parameters = new Map<string, Tensor>();
  for (const [name, value] of encoder.parameters) parameters.set(`encoder.${name}`, value);
  for (const [name, value] of head.parameters) parameters.set(`head.${name}`, value);
  return {
    config: encoder.config,
    architecture: architectureOfHead(head.config),
    encoder,
    head,
    parameters,
    source,
    initialized,
    unused,
    carried,
    forward: (batch, options = {}) =>
      scope(() => {
        const { training = false, seed = 0 } = options;
        const globalTokens = batch.globalTokens ?? head.globalTokens(batch);
        const output = encoder.forward(globalTokens === undefined ? batch : { ...batch, globalTokens }, options);
        return {
          ...output,
          ...head.forward(output.hidden, batch, options, { training, seed: deriveSeed(seed, "head") }),
        };
      }),
    dispose() {
      encoder.dispose();
      head.dispose();
      for (const tensor of carried.values()) tensor.dispose();
    },
  };
}

/** The word embeddings of an encoder, as tied decoders take them. */
export const wordTableOf =
  (encoder: Encoder): (() => Tensor) =>
  () =>
    lookUp(encoder.parameters, "embeddings.word.weight");

/** Builds encoder and head from their sources; frees the encoder when the head fails. */
export function buildModel(
  config: EncoderConfigInput,
  headConfig: HeadConfig,
  encoderSource: ParameterSource,
  headSource: ParameterSource,
  origin: ModelOrigin = {},
): Model {
  const encoder = createEncoder(config, encoderSource);
  try {
    return assembleModel(encoder, createHead(headConfig, encoder.config, headSource, wordTableOf(encoder)), origin);
  } catch (error) {
    encoder.dispose();
    throw error;
  }
}

export interface CreateModelOptions extends HeadFields {
  /** "ForMaskedLM", "BertForMaskedLM": a prefix does not matter here. */
  architecture: string;
  config: EncoderConfigInput;
  /** The head in full, instead of what follows from the architecture and the fields beside it. */
  head?: HeadConfigInput;
  /** Default 1. */
  seed?: number;
}

/**
 * Makes a model with new weights.
 *
 * @throws ARCHITECTURE_UNKNOWN, CONFIG_INVALID
 * @example
 * const model = createModel({ architecture: "ForMaskedLM", config: uniformEncoder({ … }), seed: 1 });
 * const { loss } = model.forward(batch, { rows, targets, training: true, seed: step });
 */
export function createModel({ architecture, config, head, seed = 1, ...fields }: CreateModelOptions): Model {
  const wanted = parseHeadConfig(head ?? headOf(architectureOf(architecture), fields));
  return buildModel(config, wanted, { seed }, { seed: deriveSeed(seed, "head") });
}
