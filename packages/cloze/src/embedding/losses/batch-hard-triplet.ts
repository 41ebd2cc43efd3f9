import { add, max, mean, min, mul, relu, softplus, sub } from "@cloze/tensor";
import { z } from "zod";
import { batchTripletOptions, classMasks, maskTensor } from "./batch-triplets.js";
import { allDistances } from "./distances.js";
import { defineLoss } from "./loss.js";

/**
 * Batch-hard triplets (arXiv 1703.07737): for each text the furthest of its class against the nearest of the others.
 *
 * Rows: (text, class); batches hold several texts of a class.
 */
export const batchHardTriplet = defineLoss({
  type: "batch-hard-triplet",
  description: "the furthest text of the same class shall be nearer than the nearest of another",
  rows: "labelled-text",
  search: false,
  options: batchTripletOptions.extend({
    soft: z.boolean().default(false).describe("log(1 + exp(difference)) instead of a margin"),
  }),
  create: ({ distance, margin, soft }) => ({
    scaleInvariant: distance === "cosine",
    forward({ columns: [x], labels }) {
      const masks = classMasks(labels as Float32Array);
      const rows = x.shape[0];
      const distances = allDistances(distance, x); // [rows, rows]
      const positive = maskTensor(masks.positive, rows, x.dtype);
      const furthest = max(mul(distances, positive), [1], true); // [rows, 1]
      const largest = max(distances, [1], true);
      const same = maskTensor(
        masks.negative.map((different) => 1 - different),
        rows,
        x.dtype,
      );
      const nearest = min(add(distances, mul(same, largest)), [1], true);
      const difference = sub(furthest, nearest);
      return mean(soft ? softplus(difference) : relu(add(difference, margin)));
    },
  }),
});
