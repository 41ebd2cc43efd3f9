import { add, mean, mul, neg, reshape, softplus, sub, tensor } from "@cloze/tensor";
import { z } from "zod";
import { cosineMatrix, rowCosine } from "./distances.js";
import { defineLoss } from "./loss.js";

/** What a cosine must be for a pair to match as likely as not, and how fast that changes. */
export const matchingDefaults = { scale: 6, offset: 0.5 } as const;

/**
 * Sigmoid cross-entropy of `scale (cos - offset)` (SMITH, arXiv 2004.12297, whose offset is 0: then vectors without negative
 * numbers can never say "no").
 *
 * Rows: (text, text, 1 or 0). In a batch, every first text may also be held against the second texts of other rows.
 */
export const pairMatching = defineLoss({
  type: "pair-matching",
  description: "whether two texts match, by their cosine: sigmoid cross-entropy",
  rows: "binary-pair",
  search: false,
  options: z.strictObject({
    scale: z.number().positive().default(matchingDefaults.scale).describe("what a cosine is multiplied by (6)"),
    offset: z.number().default(matchingDefaults.offset).describe("the cosine from which texts match (0.5)"),
    positiveWeight: z.number().positive().default(1).describe("how much a match counts beside others (1)"),
    inBatch: z
      .boolean()
      .default(false)
      .describe("the second texts of other rows are held against a text too, and do not match"),
  }),
  create: ({ scale, offset, positiveWeight, inBatch }) => ({
    scaleInvariant: true,
    forward({ columns: [a, b], labels }) {
      const rows = a.shape[0];
      const cosines = inBatch ? reshape(cosineMatrix(a, b), [rows * rows]) : rowCosine(a, b);
      const known = labels as Float32Array;
      const match = inBatch
        ? Float32Array.from({ length: rows * rows }, (_, i) => (i % (rows + 1) === 0 ? known[i / (rows + 1)] : 0))
        : known;
      const logits = mul(sub(cosines, offset), scale);
      const column = (values: Float32Array) => tensor(values, [values.length], a.dtype);
      const yes = mul(column(match.map((value) => value * positiveWeight)), softplus(neg(logits)));
      return mean(add(yes, mul(column(match.map((value) => 1 - value)), softplus(logits))));
    },
  }),
});
