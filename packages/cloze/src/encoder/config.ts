// What an encoder is, as plain JSON.
import { z } from "zod";
import { ClozeError } from "../errors.js";
import { channelSchema } from "./channels/index.js";
import { embeddingsSchema } from "./embeddings/index.js";
import { mixerSchema } from "./mixers/index.js";
import { parseConfig } from "./registry.js";

const rate = z.number().min(0).lt(1);

const layerSchema = z.strictObject({
  mixer: mixerSchema,
  channel: channelSchema,
  /** After the mixer and after the channel. */
  dropout: rate.default(0.1),
  /** After the mixer, where it is another. */
  mixerDropout: rate.optional(),
  /** What a branch takes is added to what it gives. */
  residual: z.boolean().default(true),
  /** The norms of the two branches. */
  mixerNorm: z.boolean().default(true),
  channelNorm: z.boolean().default(true),
  /**
   * A branch beside both (the convolution of large DeBERTas): what it makes of what the layer took is added to what they
   * gave, with a norm of its own. Padding that is not seen then comes out as 0.
   */
  parallel: mixerSchema.optional(),
  /** Uses the parameters of an earlier layer (ALBERT, arXiv 1909.11942) instead of its own. */
  sharedWith: z.int().min(0).optional(),
});

export const encoderSchema = z.strictObject({
  /** 0: the input is no text. */
  vocabularySize: z.int().min(0),
  hiddenSize: z.int().min(1),
  /** Longest sequence, where positions are learned. */
  maxPositions: z.int().min(1).default(512),
  /** 0: no segments. */
  segmentVocabularySize: z.int().min(0).default(2),
  embeddings: embeddingsSchema.prefault({ type: "tokens" }),
  /** The id of padding; null: there is none. */
  padId: z.int().min(0).nullable().default(0),
  norm: z.enum(["layer", "rms"]).default("layer"),
  normBias: z.boolean().default(true),
  normEpsilon: z.number().positive().default(1e-12),
  initializerRange: z.number().min(0).default(0.02),
  /** "post": norm(x + branch(x)), as BERT; "pre": x + branch(norm(x)). */
  normPosition: z.enum(["pre", "post"]).default("post"),
  /** A norm after the last layer, where norms come before the branches. */
  finalNorm: z.boolean().default(true),
  /** "zero": the last matrix of each branch starts at 0, so that a new encoder passes its embeddings through. */
  residualInit: z.enum(["normal", "zero"]).default("normal"),
  layers: z.array(layerSchema),
});

/** An encoder, checked and with every default filled in. */
export type EncoderConfig = z.output<typeof encoderSchema>;
/** The same as one may write it. */
export type EncoderConfigInput = z.input<typeof encoderSchema>;
export type LayerConfig = EncoderConfig["layers"][number];
export type LayerConfigInput = EncoderConfigInput["layers"][number];

/**
 * Checks a configuration and fills in what it leaves out.
 *
 * @throws CONFIG_INVALID naming the field
 */
export function parseEncoderConfig(config: unknown): EncoderConfig {
  const parsed = parseConfig(encoderSchema, config, "The encoder");
  parsed.layers.forEach(({ sharedWith, ...rest }, i) => {
    if (sharedWith === undefined) return;
    const { sharedWith: further, ...owner } = parsed.layers[sharedWith] ?? {};
    if (sharedWith < i && further === undefined && JSON.stringify(owner) === JSON.stringify(rest)) return;
    throw new ClozeError("CONFIG_INVALID", `The encoder: layers.${i}.sharedWith names no earlier layer of this form`, {
      expected: "an earlier layer with parameters of its own and the same configuration",
      received: String(sharedWith),
    });
  });
  return parsed;
}

/** The sizes of an encoder whose layers are all alike. */
export interface UniformOptions extends Omit<EncoderConfigInput, "layers"> {
  layers: number;
  heads: number;
  /** Default: 4 x hiddenSize. */
  intermediateSize?: number;
  /** For all places at once. Default 0.1. */
  dropout?: number;
}

/**
 * An encoder of attention and MLP layers that are all alike.
 *
 * @throws CONFIG_INVALID
 * @example
 * const mini = uniformEncoder({ vocabularySize: 30522, hiddenSize: 384, layers: 6, heads: 12 });
 */
export function uniformEncoder({
  layers,
  heads,
  dropout = 0.1,
  intermediateSize,
  ...rest
}: UniformOptions): EncoderConfig {
  const layer: LayerConfigInput = {
    mixer: { type: "attention", heads, dropout },
    channel: { type: "mlp", intermediateSize: intermediateSize ?? 4 * rest.hiddenSize },
    dropout,
  };
  return parseEncoderConfig({
    ...rest,
    embeddings: { dropout, ...rest.embeddings } as EncoderConfigInput["embeddings"],
    layers: Array.from({ length: layers }, () => layer),
  });
}
