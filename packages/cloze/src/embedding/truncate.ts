// A smaller model out of the first layers of a larger one (2DMSE, arXiv 2402.14776; adaptive layers).
import { copiesOf } from "../encoder/parameters.js";
import { ClozeError } from "../errors.js";
import { buildModel, type Model } from "../families/model.js";
import { layerPoolingOf, poolLikewise } from "./layer-pooling.js";

/** What is left of an embedder. */
export interface TruncateOptions {
  /** Keep the first so many layers. Default: all. */
  layers?: number;
  /** Keep the first so many numbers of a vector. Default: all. */
  dims?: number;
}

/** @throws INVALID_OPTION unless it is a whole number from `least` to `most` */
export function checkPart(name: string, value: number, least: number, most: number): void {
  if (Number.isInteger(value) && value >= least && value <= most) return;
  throw new ClozeError("INVALID_OPTION", `${name} is out of range`, {
    expected: `a whole number from ${least} to ${most}`,
    received: String(value),
  });
}

/**
 * A model of the embeddings and the first layers of another, with copies of their weights; a final norm stays. Its hidden
 * states are those of the other at that depth, bit for bit. Weighted means of layers need all of them.
 *
 * @throws INVALID_OPTION
 */
export function truncateModel(model: Model, layers: number): Model {
  const { config } = model;
  checkPart("layers", layers, layerPoolingOf(model) === undefined ? 0 : config.layers.length, config.layers.length);
  const { num_hidden_layers: _, ...source } = model.source ?? {};
  const copy = buildModel(
    { ...config, layers: config.layers.slice(0, layers) },
    model.head.config,
    { load: copiesOf(model.parameters, "encoder.") },
    { load: copiesOf(model.parameters, "head.") },
    model.source === undefined ? {} : { source },
  );
  return poolLikewise(model, copy);
}
