// A trained model with other positions: none to be pre-trained on them (MP3, arXiv 2207.07611), new ones to be fine-tuned with.
import { type Tensor, tensor, zeros } from "@cloze/tensor";
import { type EncoderConfig, type EncoderConfigInput, parseEncoderConfig } from "../encoder/config.js";
import { bindEmbeddings } from "../encoder/embeddings/index.js";
import { sinusoids } from "../encoder/embeddings/sinusoids.js";
import { encoderSpecs } from "../encoder/encoder.js";
import { copiesOf } from "../encoder/parameters.js";
import { buildModel, type Model } from "../families/model.js";

/** How positions begin: not at all, at 0, as sines and cosines, or as random numbers like other new parameters. */
export const positionStarts = ["none", "zero", "sin-cos", "random"] as const;
export type PositionStart = (typeof positionStarts)[number];

export interface ChangePositionsOptions {
  /** For "random". Default 1. */
  seed?: number;
  /**
   * What sines and cosines are multiplied by. Default: as large as a new table's random numbers, so that the first step of
   * fine-tuning sees nearly what was learnt before.
   */
  scale?: number;
}

/**
 * The configuration with a table of positions in its embeddings, or with none.
 *
 * @throws CONFIG_INVALID
 */
export const withPositions = (config: EncoderConfigInput, positions: "learned" | "none"): EncoderConfig => {
  const parsed = parseEncoderConfig(config);
  return parseEncoderConfig({ ...parsed, embeddings: { ...parsed.embeddings, positions } });
};

const table = "embeddings.position.weight";

/** The first values of a table of positions. [rows, width] */
function startOf(config: EncoderConfig, start: "zero" | "sin-cos", scale: number): Tensor {
  const shape = encoderSpecs(config).find(({ name }) => name === table)?.shape ?? [0, 0];
  if (start === "zero") return zeros(shape);
  const [rows, width] = shape;
  const grid = bindEmbeddings(config.embeddings, config).grid ?? [config.maxPositions];
  const known = sinusoids(grid, width);
  const values = new Float32Array(rows * width);
  // Rows before the first place belong to no place: the token of an image, padding.
  values.set(
    known.map((value) => value * scale),
    values.length - known.length,
  );
  return tensor(values, shape);
}

/**
 * Takes the positions of a model's embeddings away, or gives it new ones; everything else stays. With "zero" the new model gives
 * what one without positions does. A table stays trained; to keep sines and cosines as they are, freeze
 * `encoder.embeddings.position.weight`. Rotary and relative positions are the mixers' and stay, too.
 *
 * @returns a model with copies of the weights; the one given stays
 * @example
 * const bag = changePositions(model, "none"); // to be trained by the objective "position-prediction"
 * const placed = changePositions(bag, "zero"); // to be fine-tuned
 */
export function changePositions(
  model: Model,
  start: PositionStart,
  { seed, scale = model.config.initializerRange * Math.SQRT2 }: ChangePositionsOptions = {},
): Model {
  const config = withPositions(model.config, start === "none" ? "none" : "learned");
  const copy = copiesOf(model.parameters, "encoder.");
  const load = (name: string): Tensor | undefined => {
    if (name !== table || start === "none") return copy(name);
    return start === "random" ? undefined : startOf(config, start, scale);
  };
  return buildModel(
    config,
    model.head.config,
    { load, seed },
    { load: copiesOf(model.parameters, "head.") },
    { source: model.source, initialized: model.initialized, unused: model.unused },
  );
}
