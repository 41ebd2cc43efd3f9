// A narrower copy of an encoder's shape, for what proposes tokens (ELECTRA, arXiv 2003.10555).
import { type EncoderConfig, type LayerConfig, parseEncoderConfig } from "../../encoder/config.js";
import { bindEmbeddings } from "../../encoder/embeddings/index.js";

/** What an encoder's layers say about their heads, whichever mixer they have. */
interface HeadFields {
  readonly heads?: number;
  readonly headSize?: number;
}

/** Widths that split into whole heads, as each layer has them, are multiples of this. */
function headUnit({ layers, hiddenSize }: EncoderConfig): number {
  const greatest = (a: number, b: number): number => (b === 0 ? a : greatest(b, a % b));
  return layers
    .map(({ mixer }) => mixer as HeadFields)
    .filter(({ heads, headSize }) => heads !== undefined && headSize === undefined)
    .map(({ heads }) => hiddenSize / (heads as number))
    .reduce((unit, size) => (unit * size) / greatest(unit, size), 1);
}

/** A part's configuration with fewer heads and inner dimensions; its matrices are dense. */
function narrowed(part: object, share: number): object {
  const fields = Object.entries(part).filter(([name]) => name !== "weights");
  const smaller = ["heads", "intermediateSize"];
  return Object.fromEntries(
    fields.map(([name, value]) => [name, smaller.includes(name) ? Math.max(1, Math.round(value * share)) : value]),
  );
}

/**
 * The shape of an encoder with all widths times `share`, and as many layers: heads keep their size, so there are fewer.
 * Embeddings keep their width, so that both can use the same; a projection takes it to the layers.
 *
 * @param layers the first so many layers only; 0: none. Default: all
 * @throws CONFIG_INVALID when a part cannot be so narrow
 */
export function narrowEncoder(config: EncoderConfig, share: number, layers = config.layers.length): EncoderConfig {
  const unit = headUnit(config);
  const hiddenSize = Math.min(config.hiddenSize, Math.max(unit, Math.round((config.hiddenSize * share) / unit) * unit));
  const actual = hiddenSize / config.hiddenSize;
  const width = bindEmbeddings(config.embeddings, config).wordWidth;
  const { projection: _, ...embeddings } = { projection: undefined, ...config.embeddings };
  return parseEncoderConfig({
    ...config,
    hiddenSize,
    // A projection of another kind (before the norm) would change the width of what is shared.
    embeddings: { ...embeddings, size: width },
    layers: config.layers.slice(0, layers).map(({ mixer, channel, parallel, ...layer }) => ({
      ...layer,
      mixer: narrowed(mixer, actual) as LayerConfig["mixer"],
      channel: narrowed(channel, actual) as LayerConfig["channel"],
      ...(parallel === undefined ? {} : { parallel: narrowed(parallel, actual) as LayerConfig["mixer"] }),
    })),
  });
}
