// One encoder, looking one way or both.

import { ClozeError } from "../errors.js";
import { type EncoderConfig, type EncoderConfigInput, parseEncoderConfig } from "./config.js";

/** Which tokens a token sees: all, those before it, or those before it and a prefix (see `EncoderBatch.prefixes`). */
export type Direction = "bidirectional" | "causal" | "prefix";

/**
 * The same encoder with attention in one direction.
 *
 * @throws CONFIG_UNSUPPORTED where a mixer is no attention
 * @example
 * const oneWay = withDirection(uniformEncoder({ … }), "causal");
 */
export function withDirection(input: EncoderConfigInput, direction: Direction): EncoderConfig {
  const config = parseEncoderConfig(input);
  const layers = config.layers.map((layer) => {
    const { mixer } = layer;
    if (mixer.type !== "attention") {
      throw new ClozeError("CONFIG_UNSUPPORTED", "Only attention has a direction", {
        expected: 'mixers of the type "attention"',
        received: mixer.type,
      });
    }
    const { direction: _, ...rest } = mixer;
    // What families know stays what they know: causal or not.
    const named = direction === "prefix" ? { direction } : {};
    return { ...layer, mixer: { ...rest, causal: direction !== "bidirectional", ...named } };
  });
  return parseEncoderConfig({ ...config, layers });
}

/** Whether no layer lets a token see what comes after it. */
export const isCausal = ({ layers }: EncoderConfig): boolean =>
  layers.every(({ mixer }) => {
    if (mixer.type === "recurrent") return !mixer.bidirectional;
    return mixer.type === "attention" && (mixer.direction === undefined ? mixer.causal : mixer.direction === "causal");
  });
