// Masked words through a decoder that is dropped afterwards (DrBERT, later BPDec, arXiv 2401.15861): more layers between the
// encoder and the head, in which predicted positions are first hidden from the others, then less and less (gradual unmasking
// attention), and whose output is mixed at random with the encoder's. What the paper leaves open is Cloze's: two layers, half
// of the positions unmasked at first, half of the outputs mixed.
import { add, copyOf, mul, scope, type Tensor, take, tensor } from "@cloze/tensor";
import { z } from "zod";
import type { PackedBatch } from "../data/packed-batch.js";
import { type RandomSource, randomOrder, randomSource } from "../data/random-source.js";
import { type EncoderConfig, parseEncoderConfig } from "../encoder/config.js";
import { encoderFlops } from "../encoder/flops.js";
import { createLayer } from "../encoder/layer.js";
import { normalize, normSpecs } from "../encoder/norm.js";
import { createParameters } from "../encoder/parameters.js";
import { deriveSeed } from "../encoder/seeds.js";
import { headFlops } from "./head-flops.js";
import { choiceFields, shareSchema } from "./masked-language.js";
import { type MaskedBatch, maskTokens } from "./masking.js";
import { cannotCombine, defineObjective, type LossContext, lossOf, type ObjectiveModel } from "./objective.js";

const type = "enhanced-decoder";

const schema = z.strictObject({
  type: z.literal(type),
  ...choiceFields,
  maskShare: shareSchema.default(0.8).describe("of the chosen tokens, the share that becomes [MASK] (0.8)"),
  randomShare: shareSchema.default(0.1).describe("the share that becomes a random token (0.1); the rest stays"),
  decoderLayers: z.int().min(0).max(4).default(2).describe("layers between encoder and head (2); they are dropped"),
  start: z
    .enum(["new", "copy"])
    .default("new")
    .describe("their first weights: new, or copies of the encoder's last layers"),
  gradual: z.boolean().default(true).describe("gradual unmasking attention; false: decoder layers see all"),
  unmaskFraction: shareSchema
    .default(0.5)
    .describe("share of the chosen tokens that the first decoder layer lets others see (0.5); the last one shows all"),
  mix: z
    .enum(["bernoulli", "per-sequence", "sum", "auxiliary", "none"])
    .default("bernoulli")
    .describe(
      "what the head gets: decoder or encoder output at random by token or by sequence, their sum, both with half the weight for the encoder's, or the decoder's alone",
    ),
  mixProbability: shareSchema.default(0.5).describe("of the decoder's output, where it is drawn (0.5)"),
});
type Config = z.output<typeof schema>;

/** A masked batch, and which of its tokens each decoder layer hides from the others. */
export interface GraduallyMaskedBatch extends MaskedBatch {
  /** By decoder layer; what a layer hides, the ones before hide too. [layers][tokens] */
  readonly unseen: readonly Uint8Array[];
}

/**
 * Tokens that each decoder layer hides: of a sequence's chosen tokens a random share 1 - unmaskFraction in the first layer,
 * falling evenly to none in the last.
 */
export function graduallyUnseen(
  batch: PackedBatch,
  rows: Int32Array,
  layers: number,
  unmaskFraction: number,
  random: RandomSource,
): Uint8Array[] {
  const unseen = Array.from({ length: layers }, () => new Uint8Array(batch.ids.length));
  let at = 0;
  for (let s = 0; s + 1 < batch.offsets.length; s++) {
    const first = at;
    while (at < rows.length && rows[at] < batch.offsets[s + 1]) at++;
    const chosen = rows.subarray(first, at);
    const order = randomOrder(chosen.length, random);
    for (let layer = 0; layer + 1 < layers; layer++) {
      const share = ((1 - unmaskFraction) * (layers - 1 - layer)) / (layers - 1);
      const count = Math.ceil(chosen.length * share);
      for (const place of order.subarray(0, count)) unseen[layer][chosen[place]] = 1;
    }
  }
  return unseen;
}

/** The decoder's layers: each like the encoder's last one. */
const decoderShape = (encoder: EncoderConfig, layers: number): EncoderConfig => {
  const { sharedWith: _, ...last } = encoder.layers[encoder.layers.length - 1];
  return parseEncoderConfig({ ...encoder, layers: Array.from({ length: layers }, () => last) });
};

const finalNorm = "finalNorm";

/** Layers on top of an encoder with parameters of their own. */
function createDecoder({ decoderLayers, start }: Config, { encoder }: ObjectiveModel, seed: number) {
  const shape = decoderShape(encoder.config, decoderLayers);
  const layers = shape.layers.map((layer, i) => createLayer(shape, layer, i));
  // Norms that stand before the branches leave the sum without one.
  const normed = shape.normPosition === "pre" && shape.finalNorm;
  const shared = new Map(layers.flatMap((layer) => layer.shared).map((spec) => [spec.name, spec]));
  const specs = [
    ...shared.values(),
    ...layers.flatMap(({ parameters }) => parameters),
    ...(normed ? normSpecs(finalNorm, shape.hiddenSize, shape) : []),
  ];
  const first = encoder.config.layers.length - decoderLayers;
  const source = (name: string): Tensor | undefined => {
    const found = /^layers\.(\d+)\.(.*)$/.exec(name);
    const theirs = found === null ? name : `layers.${Math.max(0, first + Number(found[1]))}.${found[2]}`;
    const value = encoder.parameters.get(theirs);
    return value === undefined ? undefined : copyOf(value);
  };
  const parameters = createParameters(
    specs,
    start === "copy" ? { seed, load: source } : { seed },
    shape.initializerRange,
  );
  return {
    parameters,
    /** hidden: [tokens, hidden] -> [tokens, hidden] */
    forward(hidden: Tensor, batch: PackedBatch, unseen: readonly Uint8Array[], training: boolean, at: number): Tensor {
      const offsets = tensor(batch.offsets);
      const state = layers.reduce((x, layer, i) => {
        const remembered = new Map<string, unknown>();
        const once = <T>(key: string, make: () => T): T => {
          if (!remembered.has(key)) remembered.set(key, make());
          return remembered.get(key) as T;
        };
        const hides = unseen[i].includes(1);
        const seen = hides ? { ...batch, unseen: unseen[i] } : batch;
        const seedOf = (place: string): number => deriveSeed(at, "decoder", i, place);
        return scope(() => layer.forward(x, parameters, { batch: seen, offsets, training, seed: seedOf, once }));
      }, hidden);
      return normed ? normalize(state, parameters, finalNorm, shape) : state;
    },
    flops: (offsets: Int32Array): number => encoderFlops(shape, offsets),
  };
}

/** 1 where the head gets the decoder's output. [chosen, 1] */
function drawMix({ mix, mixProbability }: Config, { batch, rows }: MaskedBatch, seed: number): Float32Array {
  const random = randomSource(deriveSeed(seed, "mix"));
  if (mix === "bernoulli") return Float32Array.from(rows, () => Number(random() < mixProbability));
  const bySequence = Array.from({ length: batch.offsets.length - 1 }, () => Number(random() < mixProbability));
  let sequence = 0;
  return Float32Array.from(rows, (row) => {
    while (row >= batch.offsets[sequence + 1]) sequence++;
    return bySequence[sequence];
  });
}

export const enhancedDecoder = defineObjective({
  schema,
  description: "predict masked tokens through layers that are dropped afterwards (DrBERT, arXiv 2401.15861)",
  aliases: { drbert: {}, bpdec: {} },
  input: "sequences",
  architecture: "ForMaskedLM",
  heads: ["masked-language"],
  check({ decoderLayers, gradual, unmaskFraction }, encoder) {
    if (decoderLayers === 0) return;
    const last = encoder.layers.at(-1);
    if (last === undefined) {
      throw cannotCombine("The decoder has the form of the encoder's last layer, but the encoder has none", {
        expected: "at least one layer",
        received: "0",
      });
    }
    if (gradual && unmaskFraction < 1 && decoderLayers > 1 && last.mixer.type !== "attention") {
      throw cannotCombine("Gradual unmasking hides keys of attention, which this encoder's layers do not have", {
        expected: 'a mixer of the type "attention"',
        received: last.mixer.type,
        remedy: "Set gradual=false.",
      });
    }
  },
  create(config, { model, vocabulary, seed }) {
    const { decoderLayers: layers, mix } = config;
    const decoder = layers === 0 ? undefined : createDecoder(config, model, deriveSeed(seed, type));
    const { encoder, head } = model;
    /** The loss of the head on states of the chosen rows. */
    const headLoss = (states: Tensor, { batch, targets }: MaskedBatch, training: boolean, at: number): Tensor =>
      lossOf(
        head.forward(states, batch, { labels: targets, lossOnly: true }, { training, seed: deriveSeed(at, "head") }),
      );
    function loss(masked: GraduallyMaskedBatch, { seed: at, recompute, training = true }: LossContext): Tensor {
      const { batch, rows, targets } = masked;
      if (decoder === undefined) {
        return lossOf(model.forward(batch, { rows, targets, lossOnly: true, training, seed: at, recompute }));
      }
      const { hidden } = encoder.forward(batch, { training, seed: at, recompute });
      const decoded = decoder.forward(hidden, batch, masked.unseen, training, at);
      const chosen = tensor(rows);
      const z = take(decoded, chosen);
      if (mix === "none" || (!training && mix !== "sum")) return headLoss(z, masked, training, at);
      const h = take(hidden, chosen);
      if (mix === "sum") return headLoss(add(h, z), masked, training, at);
      if (mix === "auxiliary") {
        return add(headLoss(z, masked, training, at), mul(headLoss(h, masked, training, at), 0.5));
      }
      const share = drawMix(config, masked, at);
      const ofDecoder = tensor(share, [rows.length, 1]);
      const ofEncoder = tensor(
        share.map((one) => 1 - one),
        [rows.length, 1],
      );
      return headLoss(add(mul(z, ofDecoder), mul(h, ofEncoder)), masked, training, at);
    }
    return {
      parameters: new Map([...(decoder?.parameters ?? [])].map(([name, value]) => [`${type}.${name}`, value])),
      state: new Map(),
      prepare(batch, random): GraduallyMaskedBatch {
        const masked = maskTokens(batch, vocabulary, random, config);
        const fraction = config.gradual ? config.unmaskFraction : 1;
        return { ...masked, unseen: graduallyUnseen(batch, masked.rows, layers, fraction, random) };
      },
      loss,
      tokens: ({ batch }) => batch.ids.length,
      flops: ({ batch, rows }) =>
        3 *
        (encoderFlops(encoder.config, batch.offsets) +
          (decoder?.flops(batch.offsets) ?? 0) +
          headFlops(model, rows.length)),
      dispose() {
        for (const value of decoder?.parameters.values() ?? []) value.dispose();
      },
    };
  },
});
