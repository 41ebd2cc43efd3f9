// Which parts of an encoder know the order of tokens.
import { bindChannel } from "./channels/index.js";
import type { EncoderConfig } from "./config.js";
import { bindEmbeddings } from "./embeddings/index.js";
import { bindMixer } from "./mixers/index.js";

/**
 * The parts of an encoder that know the order of tokens, or that let tokens beside a batch's `context` be looked at, by path and
 * type: `layers.0.mixer (fourier)`. None: the encoder takes a sequence as a bag of tokens.
 */
export function orderedParts(config: EncoderConfig): string[] {
  const { hiddenSize, embeddings } = config;
  const layers = config.layers.flatMap(({ mixer, channel, parallel }, i) =>
    [
      { slot: "mixer", type: mixer.type, bound: bindMixer(mixer, hiddenSize, config) },
      { slot: "channel", type: channel.type, bound: bindChannel(channel, hiddenSize, config) },
      ...(parallel === undefined
        ? []
        : [{ slot: "parallel", type: parallel.type, bound: bindMixer(parallel, hiddenSize, config) }]),
    ]
      .filter(({ bound }) => bound.unordered !== true || bound.heedsContext !== true)
      .map(({ slot, type }) => `layers.${i}.${slot} (${type})`),
  );
  const first = bindEmbeddings(embeddings, config).unordered ? [] : [`embeddings (positions: ${embeddings.positions})`];
  return [...first, ...layers];
}
