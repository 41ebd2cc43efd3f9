// Work of a forward pass, counted from the configuration.
import { bindChannel } from "./channels/index.js";
import type { EncoderConfig } from "./config.js";
import { encoderSpecs } from "./encoder.js";
import { bindMixer } from "./mixers/index.js";
import type { ParameterSpec } from "./part.js";

/** Numbers in the matrices among parameters: what a token is multiplied with once. */
export const matrixSize = (specs: readonly Pick<ParameterSpec, "shape">[]): number =>
  specs.reduce((sum, { shape }) => sum + (shape.length === 2 ? shape[0] * shape[1] : 0), 0);

const isTable = (name: string): boolean =>
  name.startsWith("shared.") || (name.startsWith("embeddings.") && !name.startsWith("embeddings.projection"));

/**
 * Multiplications and additions of one forward pass: matrices, and what mixers do between tokens where they say so.
 * Norms, activations and look-ups do not count.
 *
 * @param offsets as in a packed batch. [sequences + 1]
 * @param context as in an encoder's batch: tokens that are looked at. Default: all. [tokens]
 */
export function encoderFlops(config: EncoderConfig, offsets: Int32Array, context?: Uint8Array): number {
  const tokens = offsets[offsets.length - 1];
  const own = encoderSpecs(config).filter(({ name }) => !isTable(name));
  // A layer that uses the matrices of another one multiplies with them again.
  const again = config.layers.flatMap(({ sharedWith }) =>
    sharedWith === undefined ? [] : own.filter(({ name }) => name.startsWith(`layers.${sharedWith}.`)),
  );
  const between = config.layers.flatMap(({ mixer, channel }) =>
    [bindMixer(mixer, config.hiddenSize, config), bindChannel(channel, config.hiddenSize, config)].flatMap(
      ({ flops }) => (flops === undefined ? [] : [flops]),
    ),
  );
  let total = 2 * tokens * matrixSize([...own, ...again]);
  for (let s = 0; s + 1 < offsets.length; s++) {
    const length = offsets[s + 1] - offsets[s];
    const looked = context?.subarray(offsets[s], offsets[s + 1]).reduce((sum, one) => sum + one, 0);
    for (const flops of between) total += flops(length, looked);
  }
  return total;
}
