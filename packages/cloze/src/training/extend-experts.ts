// A trained model whose channels become several, copies of each other: experts that training sets apart (arXiv 2401.15713).
import { copyOf } from "@cloze/tensor";
import { type ExpertsOptions, withExperts } from "../encoder/surgery.js";
import { buildModel, type Model } from "../families/model.js";

export interface ExtendModelOptions extends ExpertsOptions {
  /** For the routers' first values. Default 1. */
  seed?: number;
}

/**
 * Clones the channel of each chosen layer into `count` experts, with weights of their own. Whatever expert a text goes to, the
 * new model gives what the old one does, bit for bit, until it is trained; with "top-k" where gates add up to 1, to rounding.
 *
 * @returns a model with copies of the weights; the one given stays
 * @throws INVALID_OPTION for layers that there are not, or whose channel cannot be an expert; CONFIG_INVALID
 * @example
 * const experts = extendModelWithExperts(model, { count: 5, layers: "all" });
 * experts.forward({ ...batch, routes: Int32Array.of(0, 4) });
 */
export function extendModelWithExperts(model: Model, { seed, ...options }: ExtendModelOptions): Model {
  const load = (prefix: string) => (name: string) => {
    const dense = name.replace(/^(layers\.\d+\.channel)\.experts\.\d+\./, "$1.");
    const found = model.parameters.get(`${prefix}.${name}`) ?? model.parameters.get(`${prefix}.${dense}`);
    return found === undefined ? undefined : copyOf(found);
  };
  return buildModel(
    withExperts(model.config, options),
    model.head.config,
    { load: load("encoder"), seed },
    { load: load("head") },
    model.source === undefined ? {} : { source: model.source },
  );
}
