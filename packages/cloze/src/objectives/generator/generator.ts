// A small masked language model beside the model, whose guesses replace tokens (ELECTRA, arXiv 2003.10555).
import type { Tensor } from "@cloze/tensor";
import { sameShape } from "@cloze/tensor";
import { z } from "zod";
import type { PackedBatch } from "../../data/packed-batch.js";
import { type RandomSource, randomSource } from "../../data/random-source.js";
import type { EncoderConfig } from "../../encoder/config.js";
import { createEncoder, encoderSpecs } from "../../encoder/encoder.js";
import { encoderFlops } from "../../encoder/flops.js";
import { lookUp } from "../../encoder/parameters.js";
import { deriveSeed } from "../../encoder/seeds.js";
import { ClozeError } from "../../errors.js";
import { createHead, parseHeadConfig } from "../../heads/index.js";
import { headFlops } from "../head-flops.js";
import { choiceFields, shareSchema } from "../masked-language.js";
import { type MaskedBatch, type MaskingVocabulary, maskTokens } from "../masking.js";
import { cannotCombine, type LossContext, lossOf, type ObjectiveFrame } from "../objective.js";
import { narrowEncoder } from "./narrow-encoder.js";
import { sampleRows } from "./sample.js";

export const generatorFields = {
  ...choiceFields,
  maskShare: shareSchema
    .default(0.85)
    .describe("of the chosen tokens, the share that the generator sees as [MASK] (0.85); it sees the rest as they are"),
  generatorWidth: z
    .number()
    .gt(0)
    .max(1)
    .default(0.25)
    .describe("width of the generator as a share of the encoder's (0.25); more than 1 would be no generator"),
  generatorLayers: z.int().min(0).optional().describe("layers of the generator (as many as the encoder has)"),
  sharing: z
    .enum(["embeddings", "words", "none"])
    .default("embeddings")
    .describe("what generator and encoder share: embeddings (words, positions, segments, norm), words, or none"),
  temperature: z.number().positive().default(1).describe("of the generator's softmax when tokens are drawn (1)"),
};

export type GeneratorConfig = z.output<ReturnType<typeof z.strictObject<typeof generatorFields>>>;

/** A batch before the generator has seen it. */
export interface ChosenBatch extends MaskedBatch {
  /** As it was, without [MASK]. */
  readonly original: PackedBatch;
}

/** What the generator made of a batch. */
export interface Proposal {
  /** The original with the generator's tokens at the chosen rows; there is no [MASK]. */
  readonly batch: PackedBatch;
  /** The generator's tokens. [chosen] */
  readonly sampled: Int32Array;
  /** Its own loss, over the chosen rows. */
  readonly loss: Tensor;
}

const headConfig = parseHeadConfig({ type: "masked-language" });

/** The generator's shape. @throws OBJECTIVE_COMBINATION */
export function generatorEncoder(encoder: EncoderConfig, config: GeneratorConfig): EncoderConfig {
  const layers = config.generatorLayers ?? encoder.layers.length;
  if (layers > encoder.layers.length) {
    throw cannotCombine("The generator has more layers than the encoder", {
      expected: `at most ${encoder.layers.length}`,
      received: String(layers),
    });
  }
  try {
    const narrow = narrowEncoder(encoder, config.generatorWidth, layers);
    encoderSpecs(narrow);
    return narrow;
  } catch (cause) {
    if (!(cause instanceof ClozeError)) throw cause;
    throw cannotCombine("No narrower generator can be made of this encoder", {
      received: cause.message,
      remedy: "Set generatorWidth=1, or another objective.",
    });
  }
}

const isShared = (name: string, sharing: GeneratorConfig["sharing"]): boolean =>
  sharing !== "none" &&
  (sharing === "words" ? name === "embeddings.word.weight" : name.startsWith("embeddings.")) &&
  !name.startsWith("embeddings.projection");

/** Chooses tokens and hides most of them from the generator; nothing is random but what is chosen. */
export const chooseTokens = (
  original: PackedBatch,
  vocabulary: MaskingVocabulary,
  random: RandomSource,
  config: GeneratorConfig,
): ChosenBatch => ({ original, ...maskTokens(original, vocabulary, random, { ...config, randomShare: 0 }) });

/** Puts tokens at rows of a batch. */
export function withTokens(batch: PackedBatch, rows: Int32Array, tokens: Int32Array): PackedBatch {
  const ids = batch.ids.slice();
  rows.forEach((row, i) => {
    ids[row] = tokens[i];
  });
  return { ...batch, ids };
}

/**
 * Makes a generator for a model: narrower, with a head that predicts tokens by the word table, and with the model's own
 * embeddings where they are shared. `parameters` holds what is the generator's alone.
 *
 * @param prefix of the names of its parameters
 */
export function createGenerator(prefix: string, config: GeneratorConfig, { model, vocabulary, seed }: ObjectiveFrame) {
  const { encoder: big } = model;
  const shape = generatorEncoder(big.config, config);
  const specs = new Map(encoderSpecs(shape).map((spec) => [spec.name, spec]));
  const shared = new Set<Tensor>();
  const encoder = createEncoder(shape, {
    seed: deriveSeed(seed, prefix),
    load(name) {
      const theirs = isShared(name, config.sharing) ? big.parameters.get(name) : undefined;
      if (theirs === undefined || !sameShape(theirs.shape, specs.get(name)?.shape ?? [])) return undefined;
      shared.add(theirs);
      return theirs;
    },
  });
  const wordTable = () => lookUp(encoder.parameters, "embeddings.word.weight");
  const head = createHead(headConfig, shape, { seed: deriveSeed(seed, prefix, "head") }, wordTable);
  const own = [
    ...[...encoder.parameters].map(([name, value]) => [`${prefix}.encoder.${name}`, value] as const),
    ...[...head.parameters].map(([name, value]) => [`${prefix}.head.${name}`, value] as const),
  ].filter(([, value]) => !shared.has(value));
  return {
    config: shape,
    encoder,
    head,
    parameters: new Map(own),
    /** The generator's loss, and a batch with tokens that it drew. */
    propose(
      { original, batch, rows, targets }: ChosenBatch,
      { seed: at, training = true, recompute }: LossContext,
    ): Proposal {
      const options = { training, seed: deriveSeed(at, "generator"), recompute };
      const { hidden } = encoder.forward(batch, options);
      const output = head.forward(hidden, batch, { rows, targets }, options);
      const random = randomSource(deriveSeed(at, "generated"));
      const sampled = sampleRows((output.logits as Tensor).detach(), random, config.temperature, vocabulary.maskId);
      return { batch: withTokens(original, rows, sampled), sampled, loss: lossOf(output) };
    },
    /** Of a forward pass. */
    flops: ({ batch, rows }: MaskedBatch): number =>
      encoderFlops(shape, batch.offsets) + headFlops({ encoder, head }, rows.length),
    dispose() {
      for (const [, value] of own) value.dispose();
    },
  };
}

export type Generator = ReturnType<typeof createGenerator>;

/**
 * What objectives share that train the model on what a generator proposes: the tokens that are chosen, and what a step costs.
 *
 * @param headRows rows of a batch that the model's head reads
 */
export const besideGenerator = (
  generator: Generator,
  config: GeneratorConfig,
  { model, vocabulary }: ObjectiveFrame,
  headRows: (chosen: ChosenBatch) => number,
) => ({
  parameters: generator.parameters,
  state: new Map<string, Tensor>(),
  prepare: (batch: PackedBatch, random: RandomSource): ChosenBatch => chooseTokens(batch, vocabulary, random, config),
  tokens: ({ original }: ChosenBatch): number => original.ids.length,
  flops: (chosen: ChosenBatch): number =>
    3 *
    (generator.flops(chosen) +
      encoderFlops(model.encoder.config, chosen.original.offsets) +
      headFlops(model, headRows(chosen))),
  dispose: generator.dispose,
});
