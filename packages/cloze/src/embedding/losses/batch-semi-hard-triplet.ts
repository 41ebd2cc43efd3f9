import { add, mul, relu, reshape, sub, sum, take, tensor } from "@cloze/tensor";
import { batchTripletOptions, classMasks } from "./batch-triplets.js";
import { allDistances } from "./distances.js";
import { defineLoss } from "./loss.js";

/**
 * Semi-hard triplets (FaceNet, arXiv 1503.03832): for each pair of a class the nearest text of another class that is further
 * than the positive; where there is none, the furthest of all.
 *
 * Rows: (text, class); batches hold several texts of a class.
 */
export const batchSemiHardTriplet = defineLoss({
  type: "batch-semi-hard-triplet",
  description: "as batch-hard, with negatives just beyond the positive",
  rows: "labelled-text",
  search: false,
  options: batchTripletOptions,
  create: ({ distance, margin }) => ({
    scaleInvariant: distance === "cosine",
    forward({ columns: [x], labels }) {
      const rows = x.shape[0];
      const distances = allDistances(distance, x); // [rows, rows]
      const values = distances.toTypedArray();
      const { positive, negative } = classMasks(labels as Float32Array);
      const [pairs, negatives]: [number[], number[]] = [[], []];
      for (let i = 0; i < rows; i++) {
        const others = Array.from({ length: rows }, (_, k) => i * rows + k).filter((place) => negative[place] === 1);
        if (others.length === 0) continue;
        const furthest = others.reduce((best, place) => (values[place] > values[best] ? place : best));
        for (let j = 0; j < rows; j++) {
          const pair = i * rows + j;
          if (positive[pair] === 0) continue;
          const beyond = others.filter((place) => values[place] > values[pair]);
          pairs.push(pair);
          negatives.push(
            beyond.length === 0
              ? furthest
              : beyond.reduce((best, place) => (values[place] < values[best] ? place : best)),
          );
        }
      }
      if (pairs.length === 0) return mul(sum(distances), 0);
      const list = reshape(distances, [rows * rows, 1]);
      const at = (places: number[]) => take(list, tensor(Int32Array.from(places)));
      return mul(sum(relu(add(sub(at(pairs), at(negatives)), margin))), 1 / pairs.length);
    },
  }),
});
