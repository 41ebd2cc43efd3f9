// The next token out of its scores: temperature, the best k, and a draw.
import { noGrad, scope, type Tensor, topK } from "@cloze/tensor";
import type { RandomSource } from "../data/random-source.js";
import { ClozeError } from "../errors.js";

/** Tokens that may come next, the most likely first. */
export interface Candidates {
  readonly ids: Int32Array;
  /** Scores before the softmax, divided by the temperature. */
  readonly logits: Float32Array;
}

export interface SamplerOptions {
  /** What scores are divided by: below 1 likely tokens become likelier. 0: always the likeliest. Default 1. */
  temperature?: number;
  /** Only so many of the likeliest tokens may come. Default: all. */
  topK?: number;
}

/** @throws INVALID_OPTION */
export function checkSampler({ temperature = 1, topK: most }: SamplerOptions): void {
  if (temperature >= 0 && Number.isFinite(temperature) && (most === undefined || (Number.isInteger(most) && most >= 1)))
    return;
  throw new ClozeError("INVALID_OPTION", "The sampler has an option out of range", {
    expected: "a temperature of at least 0, and a whole topK of at least 1",
    received: `temperature ${temperature}, topK ${most}`,
  });
}

/**
 * The tokens that may come next: scores divided by the temperature, then the best k.
 *
 * @param logits [vocabulary] or [1, vocabulary]
 */
export function candidatesOf(logits: Tensor, { temperature = 1, topK: most }: SamplerOptions = {}): Candidates {
  const size = logits.shape[logits.shape.length - 1];
  return scope(() =>
    noGrad(() => {
      const best = topK(logits, Math.min(most ?? size, size));
      const values = best.values.toTypedArray() as Float32Array;
      return {
        ids: best.indices.toTypedArray() as Int32Array,
        logits: temperature > 0 ? values.map((value) => value / temperature) : values.slice(),
      };
    }),
  );
}

/** Probabilities of candidates: softmax(logits). */
export function probabilitiesOf({ logits }: Candidates): Float64Array {
  const weights = Float64Array.from(logits, (value) => Math.exp(value - logits[0]));
  const total = weights.reduce((sum, value) => sum + value, 0);
  return weights.map((value) => value / total);
}

/** Draws a candidate by its probability. @returns its id */
export function drawToken(candidates: Candidates, random: RandomSource): number {
  const probabilities = probabilitiesOf(candidates);
  let left = random();
  let place = 0;
  while (place < probabilities.length - 1 && left >= probabilities[place]) left -= probabilities[place++];
  return candidates.ids[place];
}
