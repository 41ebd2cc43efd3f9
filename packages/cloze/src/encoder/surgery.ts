// The matrices of an encoder by path, and a configuration with other ways to store them, or with experts.
import { ClozeError } from "../errors.js";
import { bindChannel, type ChannelConfigInput } from "./channels/index.js";
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

/** How channels become experts; see the channel "experts". */
export interface ExpertsOptions {
  count: number;
  /** Layers, from 0. Default "all". */
  layers?: "all" | readonly number[];
  /** Default "given". */
  route?: "given" | "segment" | "switch" | "top-k";
  /** Default "sequence". */
  unit?: "sequence" | "token";
  /** For "top-k". Default 2. */
  k?: number;
  /** For "top-k". Default true. */
  renormalise?: boolean;
}

/** The channel as one of `count`; the storage of its matrices goes to each. */
function expertsOf(channel: LayerConfig["channel"], { layers: _, ...options }: ExpertsOptions): ChannelConfigInput {
  const { weights, ...expert } = channel as LayerConfig["channel"] & WithWeights;
  const stored = Object.entries(weights ?? {}).flatMap(([name, weight]) =>
    Array.from({ length: options.count }, (__, i) => [`experts.${i}.${name}`, weight]),
  );
  return {
    ...options,
    type: "experts",
    expert,
    ...(stored.length > 0 ? { weights: Object.fromEntries(stored) } : {}),
  } as ChannelConfigInput;
}

/**
 * The configuration with experts in place of the channels of some layers; parameters are the caller's business. Layers that
 * use the parameters of a chosen one follow it.
 *
 * @throws INVALID_OPTION for layers that there are not, or that have no channel or experts already; CONFIG_INVALID
 */
export function withExperts(config: EncoderConfig, options: ExpertsOptions): EncoderConfig {
  const { layers = "all" } = options;
  const owners = config.layers.flatMap(({ sharedWith }, i) => (sharedWith === undefined ? [i] : []));
  const chosen = layers === "all" ? owners : layers.map((i) => config.layers[i]?.sharedWith ?? i);
  for (const i of chosen) {
    const type = config.layers[i]?.channel.type;
    if (type !== undefined && type !== "none" && type !== "experts") continue;
    throw new ClozeError("INVALID_OPTION", `Layer ${i} cannot get experts`, {
      expected: `a layer from 0 to ${config.layers.length - 1} with a channel that is not experts yet`,
      received: type === undefined ? "no such layer" : `the channel "${type}"`,
    });
  }
  const changed = config.layers.map((layer, i) => {
    const owner = layer.sharedWith ?? i;
    return chosen.includes(owner) ? { ...layer, channel: expertsOf(config.layers[owner].channel, options) } : layer;
  });
  return parseEncoderConfig({ ...config, layers: changed });
}
