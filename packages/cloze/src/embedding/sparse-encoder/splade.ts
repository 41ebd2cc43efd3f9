// SPLADE (Formal 2021) with gradients; `spladeVectors` is the same for vectors alone.
import { add, log, relu, scope, segmentMax, segmentSum, type Tensor, tensor } from "@cloze/tensor";
import type { Model } from "../../families/model.js";
import { checkSpladeHead } from "../../retrieval/learned-sparse/splade.js";
import type { SparseWeighting } from "./weighting.js";

/**
 * The weights of SPLADE with gradients: the masked-language head's logits, log(1 + ReLU), pooled over the tokens of each text.
 *
 * @throws SPLADE_HEAD
 */
export function spladeWeighting(model: Model, pooling: "max" | "sum" = "max"): SparseWeighting {
  checkSpladeHead(model);
  return {
    type: "splade",
    parameters: model.head.parameters,
    weigh: (batch, options) =>
      scope(() => {
        const logits = model.forward(batch, options).logits as Tensor; // [tokens, vocabulary]
        const offsets = tensor(batch.offsets);
        const weights = (x: Tensor) => log(add(relu(x), 1));
        // log(1 + ReLU) grows with its argument: the largest of it is that of the largest logit.
        return pooling === "max" ? weights(segmentMax(logits, offsets)) : segmentSum(weights(logits), offsets);
      }),
    dispose() {},
  };
}
