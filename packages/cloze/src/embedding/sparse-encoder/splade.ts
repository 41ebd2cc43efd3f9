// SPLADE (Formal 2021) with gradients; `spladeVectors` is the same for vectors alone.
import { add, log, relu, scope, segmentSum, type Tensor, tensor } from "@cloze/tensor";
import type { Model } from "../../families/model.js";
import { checkSpladeHead } from "../../retrieval/learned-sparse/splade.js";
import type { SparseWeighting } from "./weighting.js";

const weights = (logits: Tensor): Tensor => log(add(relu(logits), 1));

/**
 * The weights of SPLADE with gradients: the masked-language head's logits, log(1 + ReLU), pooled over the tokens of each text.
 * log(1 + ReLU) grows with its argument, so that the largest of it is that of the largest logit: where "max" pools, there is one
 * logarithm for each term of a text, and no matrix of the logits of all tokens. "sum" needs that.
 *
 * @throws SPLADE_HEAD
 */
export function spladeWeighting(model: Model, pooling: "max" | "sum" = "max"): SparseWeighting {
  checkSpladeHead(model);
  const weigh: SparseWeighting["weigh"] = (hidden, batch, how) =>
    scope(() => {
      if (pooling === "max") return weights(model.head.peaks(hidden, batch, how));
      const logits = model.head.forward(hidden, batch, {}, how).logits as Tensor; // [tokens, vocabulary]
      return segmentSum(weights(logits), tensor(batch.offsets));
    });
  return {
    type: "splade",
    parameters: model.head.parameters,
    weigh,
    dispose() {},
  };
}
