// What a pair scorer knows of a text, and of two texts (DSE, arXiv 1908.05161).
import { abs, add, concat, linear, mul, relu, reshape, slice, sub, sum, type Tensor } from "@cloze/tensor";
import { z } from "zod";
import { pool } from "../pooling.js";

/** How the states of a text's tokens become its vector. */
export const pairPoolingSchema = z.strictObject({
  /** The last so many layers. */
  layers: z.int().min(1).default(4),
  /** Their states end to end, or their mean. */
  how: z.enum(["concat", "mean"]).default("concat"),
  /** "sum-sqrt": the sum over the square root of the number of tokens; "cls": the first token alone. */
  tokens: z.enum(["mean", "sum-sqrt", "max", "cls"]).default("mean"),
  /** The first token counts in the pooling. */
  cls: z.boolean().default(false),
});
export type PairPooling = z.output<typeof pairPoolingSchema>;

/** What scores two vectors: two layers on [u; v; u * v; |u - v|], or their inner product alone. */
export const pairHeadSchema = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("mlp"), hidden: z.int().min(1).default(512) }),
  z.strictObject({ type: z.literal("dot") }),
]);
export type PairHeadConfig = z.output<typeof pairHeadSchema>;

const modes = { mean: "mean", "sum-sqrt": "mean-sqrt-length", max: "max", cls: "cls" } as const;

/**
 * The vectors of texts from the states after each layer.
 *
 * @param states the last ones, [tokens, hidden] each
 * @returns [texts, width]
 */
export function poolPairStates(states: readonly Tensor[], offsets: Int32Array, pooling: PairPooling): Tensor {
  const joined =
    pooling.how === "concat"
      ? concat([...states], 1)
      : mul(
          states.reduce((total, state) => add(total, state)),
          1 / states.length,
        );
  const skip = pooling.cls || pooling.tokens === "cls" ? 0 : 1;
  return pool(joined, offsets, modes[pooling.tokens], skip);
}

export type PairHead = ReadonlyMap<string, Tensor>;

const part = (head: PairHead, name: string): Tensor => head.get(name) as Tensor;

/**
 * Logits of pairs, row by row: W [u; v; u * v; |u - v|] + b, ReLU, and a layer more; or the scaled inner product. The pair is
 * ordered.
 *
 * @param u [pairs, width]
 * @returns [pairs, outputs]
 */
export function pairLogits(u: Tensor, v: Tensor, head: PairHead, config: PairHeadConfig): Tensor {
  if (config.type === "dot") {
    const products = reshape(sum(mul(u, v), [1]), [u.shape[0], 1]);
    return add(mul(products, part(head, "scale")), part(head, "bias"));
  }
  const features = concat([u, v, mul(u, v), abs(sub(u, v))], 1);
  const hidden = relu(linear(features, part(head, "hidden.weight"), part(head, "hidden.bias")));
  return linear(hidden, part(head, "output.weight"), part(head, "output.bias"));
}

/** One side's share of the first layer, which need not be computed for each pair again: W_u u or W_v v. -> [texts, hidden] */
export function sideShare(x: Tensor, head: PairHead, side: "first" | "second"): Tensor {
  const width = x.shape[1];
  const start = side === "first" ? 0 : width;
  return linear(x, slice(part(head, "hidden.weight"), [{}, { start, end: start + width }]));
}

/**
 * The same logits with the shares of both sides given: W_u u + W_v v + W_h (u * v) + W_d |u - v|.
 *
 * @param u [pairs, width]; its share [pairs, hidden]
 */
export function splitLogits(u: Tensor, v: Tensor, shares: readonly [Tensor, Tensor], head: PairHead): Tensor {
  const width = u.shape[1];
  const rest = slice(part(head, "hidden.weight"), [{}, { start: 2 * width, end: 4 * width }]);
  const own = linear(concat([mul(u, v), abs(sub(u, v))], 1), rest, part(head, "hidden.bias"));
  const hidden = relu(add(own, add(shares[0], shares[1])));
  return linear(hidden, part(head, "output.weight"), part(head, "output.bias"));
}
