import { add, div, greater, mul, relu, reshape, sub, sum, take, tensor } from "@cloze/tensor";
import { batchTripletOptions, classMasks } from "./batch-triplets.js";
import { allDistances } from "./distances.js";
import { defineLoss } from "./loss.js";

/**
 * All valid triplets of a batch (arXiv 1703.07737): mean of those that are above 0.
 *
 * Rows: (text, class); batches hold several texts of a class.
 */
export const batchAllTriplet = defineLoss({
  type: "batch-all-triplet",
  description: "as batch-hard, over all triplets of the batch",
  rows: "labelled-text",
  search: false,
  options: batchTripletOptions,
  create: ({ distance, margin }) => ({
    scaleInvariant: distance === "cosine",
    forward({ columns: [x], labels }) {
      const rows = x.shape[0];
      const distances = allDistances(distance, x); // [rows, rows]
      const { positive, negative } = classMasks(labels as Float32Array);
      const pairs = Array.from(positive.keys()).filter((place) => positive[place] === 1);
      if (pairs.length === 0) return mul(sum(distances), 0);
      const anchors = pairs.map((place) => Math.floor(place / rows));
      const toPositive = take(reshape(distances, [rows * rows, 1]), tensor(Int32Array.from(pairs))); // [pairs, 1]
      const toAll = take(distances, tensor(Int32Array.from(anchors))); // [pairs, rows]
      const mask = new Float32Array(pairs.length * rows);
      anchors.forEach((anchor, i) => {
        mask.set(negative.subarray(anchor * rows, (anchor + 1) * rows), i * rows);
      });
      const losses = mul(relu(add(sub(toPositive, toAll), margin)), tensor(mask, [pairs.length, rows], x.dtype));
      const active = sum(greater(losses, 1e-16)).item();
      return div(sum(losses), Math.max(1, active));
    },
  }),
});
