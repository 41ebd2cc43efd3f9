// The matrices of an encoder by path, and a configuration with other ways to store them.
import { bindChannel } from "./channels/index.js";
import type { EncoderConfig, LayerConfig } from "./config.js";
import { parseEncoderConfig } from "./config.js";
import { bindMixer } from "./mixers/index.js";
import type { MatrixSpec, WithWeights } from "./part.js";
import { type WeightConfig, weightSchema } from "./weights/index.js";

const slots = ["mixer", "channel", "parallel"] as const;

/** A matrix of an encoder. */
export interface EncoderMatrix extends MatrixSpec {
  readonly layer: number;
  readonly slot: (typeof slots)[number];
  /** What stands before the names of its parameters: `layers.0.mixer.queryKeyValue`. */
  readonly path: string;
  readonly weights: WeightConfig;
}

const weightsOf = (settings: LayerConfig[(typeof slots)[number]]): NonNullable<WithWeights["weights"]> =>
  (settings as WithWeights | undefined)?.weights ?? {};

/** Every matrix of an encoder once, layer by layer; layers that share those of another one have none of their own. */
export function encoderMatrices(config: EncoderConfig): EncoderMatrix[] {
  return config.layers.flatMap((layer, index) => {
    if (layer.sharedWith !== undefined) return [];
    const bound = {
      mixer: bindMixer(layer.mixer, config.hiddenSize, config),
      channel: bindChannel(layer.channel, config.hiddenSize, config),
      parallel: layer.parallel && bindMixer(layer.parallel, config.hiddenSize, config),
    };
    return slots.flatMap((slot) => {
      const weights = weightsOf(layer[slot]);
      return (bound[slot]?.matrices ?? []).map((matrix) => ({
        ...matrix,
        layer: index,
        slot,
        path: `layers.${index}.${slot}.${matrix.name}`,
        weights: weightSchema.parse(weights[matrix.name] ?? { type: "dense" }),
      }));
    });
  });
}

/**
 * The configuration with matrices stored otherwise; parameters are the caller's business.
 *
 * @param choose gives the storage of a matrix, or undefined to leave it
 * @throws CONFIG_INVALID for a part that does not let its weights be chosen
 */
export function withWeights(
  config: EncoderConfig,
  choose: (matrix: EncoderMatrix) => WeightConfig | undefined,
): EncoderConfig {
  const layers = [...config.layers];
  for (const matrix of encoderMatrices(config)) {
    const { layer: index, slot, name } = matrix;
    const chosen = choose(matrix);
    if (chosen === undefined) continue;
    const settings = layers[index][slot];
    layers[index] = { ...layers[index], [slot]: { ...settings, weights: { ...weightsOf(settings), [name]: chosen } } };
  }
  const shared = layers.map(
    (layer): LayerConfig =>
      layer.sharedWith === undefined ? layer : { ...layers[layer.sharedWith], sharedWith: layer.sharedWith },
  );
  return parseEncoderConfig({ ...config, layers: shared });
}
