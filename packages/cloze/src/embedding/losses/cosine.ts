import { meanSquaredError, tensor } from "@cloze/tensor";
import { z } from "zod";
import { rowCosine } from "./distances.js";
import { defineLoss } from "./loss.js";

/**
 * Mean of (cos(a, b) - score)² (Sentence-BERT, arXiv 1908.10084).
 *
 * Rows: (text, text, score); scores of another range than 0 to 1 are brought into it by `range`. `cosent` usually does better.
 */
export const cosine = defineLoss({
  type: "cosine",
  description: "the cosine of a pair shall equal its score",
  rows: "scored-pair",
  search: false,
  options: z.strictObject({
    range: z
      .tuple([z.number(), z.number()])
      .refine(([low, high]) => low < high, "the first number is below the second")
      .default([0, 1])
      .describe("the scores that mean 0 and 1, such as [0,5]"),
  }),
  create: ({ range: [low, high] }) => ({
    scaleInvariant: true,
    forward: ({ columns: [a, b], labels }) =>
      meanSquaredError(
        rowCosine(a, b),
        tensor(
          (labels as Float32Array).map((score) => (score - low) / (high - low)),
          [a.shape[0]],
          a.dtype,
        ),
      ),
  }),
});
