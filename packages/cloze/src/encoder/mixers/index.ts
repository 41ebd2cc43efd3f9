// How tokens exchange information: one line for each part.
import type { z } from "zod";
import type { BoundSlot, EncoderFrame, SlotPart } from "../part.js";
import { type ConfigInputOf, type ConfigOf, registrySchema } from "../registry.js";
import { attention } from "./attention.js";
import { blockSparseAttention } from "./block-sparse-attention.js";
import { convolutionAttention } from "./convolution-attention.js";
import { disentangledAttention } from "./disentangled-attention.js";
import { fourier } from "./fourier.js";
import { hashedNgrams } from "./hashed-ngrams.js";
import { longformer } from "./longformer.js";
import { none } from "./none.js";
import { nystrom } from "./nystrom.js";
import { recurrent } from "./recurrent.js";
import { relativeBiasAttention } from "./relative-bias-attention.js";
import { textConvolution } from "./text-convolution.js";

const parts = {
  none,
  attention,
  "disentangled-attention": disentangledAttention,
  "relative-bias-attention": relativeBiasAttention,
  longformer,
  "block-sparse-attention": blockSparseAttention,
  fourier,
  recurrent,
  convolution: textConvolution,
  "hashed-ngrams": hashedNgrams,
  "convolution-attention": convolutionAttention,
  nystrom,
};

export type MixerConfig = ConfigOf<typeof parts>;
export type MixerConfigInput = ConfigInputOf<typeof parts>;
export const mixerSchema = registrySchema("mixer", parts);

/** The mixer that a configuration names, for a hidden size. */
export function bindMixer(config: MixerConfig, hiddenSize: number, encoder: EncoderFrame): BoundSlot {
  const part: SlotPart<z.ZodType<MixerConfig>> = parts[config.type];
  return part.bind(config, hiddenSize, encoder);
}
