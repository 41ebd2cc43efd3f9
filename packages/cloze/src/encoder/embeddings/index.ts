// From the input to vectors: one line for each part.
import type { z } from "zod";
import type { BoundEmbeddings, EmbeddingsPart, EncoderFrame } from "../part.js";
import { type ConfigInputOf, type ConfigOf, registrySchema } from "../registry.js";
import { patches } from "./patches.js";
import { tokens } from "./tokens.js";

const parts = {
  tokens,
  patches,
};

export type EmbeddingsConfig = ConfigOf<typeof parts>;
export type EmbeddingsConfigInput = ConfigInputOf<typeof parts>;
export const embeddingsSchema = registrySchema("kind of embeddings", parts, "tokens");

/** The embeddings that a configuration names, for an encoder. */
export function bindEmbeddings(config: EmbeddingsConfig, encoder: EncoderFrame): BoundEmbeddings {
  const part: EmbeddingsPart<z.ZodType<EmbeddingsConfig>> = parts[config.type];
  return part.bind(config, encoder);
}
