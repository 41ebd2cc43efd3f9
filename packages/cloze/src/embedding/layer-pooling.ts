// Vectors of tokens as weighted means of what layers give: sentence-transformers' WeightedLayerPooling.
import { add, copyOf, div, mul, slice, sum, type Tensor } from "@cloze/tensor";
import type { Encoder, EncoderOptions } from "../encoder/encoder.js";
import { unplanned } from "../encoder/norm.js";
import { unexported } from "../encoder/onnx.js";
import { ClozeError } from "../errors.js";
import { assembleModel, type Model } from "../families/model.js";

export interface LayerPooling {
  /** The first state that counts: 0 is that of the embeddings, n that after layer n. */
  readonly start: number;
  /** A weight for each state from there on; they are divided by their sum, and trained. [layers + 1 - start] */
  readonly weights: Tensor;
}

/** What a model with pooled layers was made of. */
interface Pooled extends LayerPooling {
  readonly base: Model;
}

const pooled = new WeakMap<Model, Pooled>();

/** The model and its weights of layers, where `poolLayers` made it. */
export const layerPoolingOf = (model: Model): Pooled | undefined => pooled.get(model);

const what = "weighted means of layers";

const refused = (received: string): ClozeError =>
  new ClozeError("CONFIG_UNSUPPORTED", "A model whose vectors are weighted means of its layers runs whole", {
    expected: "all of its layers, from the embeddings on",
    received,
  });

/** sum of weight[i] state[i] / sum of weights. states: each [tokens, hidden] -> [tokens, hidden] */
function weightedMean(states: readonly Tensor[], weights: Tensor): Tensor {
  const terms = states.map((state, i) => mul(state, slice(weights, [{ start: i, end: i + 1 }])));
  return div(terms.reduce(add), sum(weights));
}

/**
 * A model whose hidden states are weighted means of those of another's layers; it owns both. It is trained and saved by
 * `saveEmbedder`; it runs through the engine, not as a plan.
 *
 * @throws INVALID_OPTION where the weights are not one for each state from `start` on
 * @example
 * const pooled = poolLayers(model, { start: 4, weights: ones([9]) }); // of twelve layers, the last nine states
 */
export function poolLayers(base: Model, { start, weights }: LayerPooling): Model {
  const { encoder } = base;
  const states = encoder.config.layers.length + 1;
  if (!Number.isInteger(start) || start < 0 || start >= states || weights.size !== states - start) {
    throw new ClozeError("INVALID_OPTION", "Weights of layers do not fit the model", {
      expected: `a start from 0 to ${states - 1}, and as many weights as states are left of ${states}`,
      received: `start ${start}, ${weights.size} weights`,
    });
  }
  const kept = weights.keep("weights").requireGrad();
  const check = ({ depth, hiddenStates, resume }: EncoderOptions): void => {
    if (depth !== undefined && depth !== states - 1) throw refused(`depth ${depth}`);
    if (resume !== undefined) throw refused(`the states before layer ${resume.layer}`);
    if (hiddenStates) throw refused("a request for the states of each layer");
  };
  const whole: Encoder = {
    ...encoder,
    parameters: new Map([...encoder.parameters, ["layerPooling.weights", kept]]),
    forward(batch, options = {}) {
      check(options);
      const { hiddenStates = [], routerLogits } = encoder.forward(batch, { ...options, hiddenStates: true });
      return { hidden: weightedMean(hiddenStates.slice(start), kept), ...(routerLogits && { routerLogits }) };
    },
    plan() {
      throw unplanned(what);
    },
    onnx() {
      throw unexported(what);
    },
    dispose() {
      encoder.dispose();
      kept.dispose();
    },
  };
  const { source, initialized, unused, carried } = base;
  const model = assembleModel(whole, base.head, { source, initialized, unused, carried });
  pooled.set(model, { base, start, weights: kept });
  return model;
}

/** The weights of layers of a model on a copy of it, where it has some. */
export function poolLikewise(model: Model, copy: Model): Model {
  const found = layerPoolingOf(model);
  if (found === undefined) return copy;
  return poolLayers(copy, { start: found.start, weights: copyOf(found.weights) });
}
