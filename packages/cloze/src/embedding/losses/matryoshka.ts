import { add, mul, slice, type Tensor } from "@cloze/tensor";
import { z } from "zod";
import { randomOrder, randomSource } from "../../data/random-source.js";
import { ClozeError } from "../../errors.js";
import { normalizeRows } from "../../objectives/contrastive.js";
import { defineLoss, type EmbeddingLoss, type LossInput } from "./loss.js";

/** The loss that a Matryoshka loss wraps: its name, or its name with its options. */
export const baseOption = z
  .union([z.string(), z.looseObject({ type: z.string() })])
  .default("multiple-negatives")
  .describe("the loss on each part of the vectors");

export const dimsOption = z
  .array(z.int().min(1))
  .min(1)
  .optional()
  .describe("sizes, such as [384,128,64]; default: the width, and its halves down to 32");

/** The width of the vectors, and its halves down to `least`. */
export function halves(width: number, least = 32): number[] {
  const sizes = [width];
  for (let size = Math.floor(width / 2); size >= least; size = Math.floor(size / 2)) sizes.push(size);
  return sizes;
}

/** @throws INVALID_OPTION */
export function checkDims(dims: readonly number[], width: number): void {
  const wrong = dims.find((size) => size > width);
  if (wrong === undefined) return;
  throw new ClozeError("INVALID_OPTION", "dims is out of range", {
    expected: `sizes from 1 to ${width}, the length of a vector`,
    received: String(wrong),
  });
}

/** The first numbers of each row, scaled to length 1. */
const shrink = (x: Tensor, size: number): Tensor =>
  normalizeRows(size === x.shape[1] ? x : slice(x, [{}, { start: 0, end: size }]));

export interface MatryoshkaSettings {
  dims: readonly number[];
  weights?: readonly number[];
  /** Sizes that are drawn at each step; 0: all. */
  dimsPerStep: number;
}

/**
 * The loss of the first numbers of each vector, over several sizes (arXiv 2205.13147).
 *
 * @throws INVALID_OPTION
 */
export function overDims(base: EmbeddingLoss, { dims, weights, dimsPerStep }: MatryoshkaSettings): EmbeddingLoss {
  if (weights !== undefined && weights.length !== dims.length) {
    throw new ClozeError("INVALID_OPTION", "weights is out of range", {
      expected: `${dims.length} numbers, one for each of dims`,
      received: String(weights.length),
    });
  }
  return {
    ...base,
    scaleInvariant: true,
    forward(input: LossInput) {
      const count = dimsPerStep > 0 ? Math.min(dimsPerStep, dims.length) : dims.length;
      const drawn =
        count === dims.length
          ? dims.map((_, i) => i)
          : [...randomOrder(dims.length, randomSource(input.seed, 2)).subarray(0, count)];
      return drawn
        .map((i) => {
          const columns = input.columns.map((column) => shrink(column, dims[i]));
          return mul(base.forward({ ...input, columns }), weights?.[i] ?? 1);
        })
        .reduce((total: Tensor, one) => add(total, one));
    },
  };
}

/**
 * Matryoshka representation learning over any loss (arXiv 2205.13147): the trained vectors can be cut to any of the sizes.
 *
 * Rows: those of the loss it wraps.
 */
export const matryoshka = defineLoss({
  type: "matryoshka",
  aliases: ["mrl"],
  description: "any loss (base) on the first numbers of the vectors, over several sizes",
  rows: "any",
  search: true,
  options: z.strictObject({
    base: baseOption,
    dims: dimsOption,
    weights: z.array(z.number().min(0)).optional().describe("of each size; default: 1 each"),
    dimsPerStep: z.int().min(0).default(0).describe("sizes drawn at each step; 0: all"),
  }),
  create({ base, dims, weights, dimsPerStep }, setup) {
    const sizes = dims ?? halves(setup.width);
    checkDims(sizes, setup.width);
    return overDims(setup.base(base), { dims: sizes, weights, dimsPerStep });
  },
});
