import { add, mul, relu, square, sub, sum, tensor } from "@cloze/tensor";
import { contrastiveOptions } from "./contrastive.js";
import { rowDistance } from "./distances.js";
import { defineLoss } from "./loss.js";

const extreme = (
  values: readonly number[],
  pick: (...values: number[]) => number,
  fallback: readonly number[],
): number =>
  values.length > 0
    ? values.reduce((a, b) => pick(a, b))
    : fallback.reduce((a, b) => a + b, 0) / Math.max(1, fallback.length);

/**
 * Contrastive loss over the hard pairs of a batch: alike pairs that are further than the nearest other pair, and others that
 * are nearer than the furthest alike pair. A sum, as in sentence-transformers.
 *
 * Rows: (text, text, 1 or 0).
 */
export const onlineContrastive = defineLoss({
  type: "online-contrastive",
  description: "as contrastive, over the hard pairs of a batch only",
  rows: "binary-pair",
  search: false,
  options: contrastiveOptions,
  create: ({ distance, margin }) => ({
    scaleInvariant: distance === "cosine",
    forward({ columns: [a, b], labels = new Float32Array() }) {
      const distances = rowDistance(distance, a, b); // [rows]
      const values = Array.from(distances.toTypedArray() as Float32Array);
      const alike = values.filter((_, i) => labels[i] === 1);
      const other = values.filter((_, i) => labels[i] === 0);
      const furthest = extreme(alike, Math.max, other);
      const nearest = extreme(other, Math.min, alike);
      const mask = (keep: (value: number, i: number) => boolean) =>
        tensor(
          values.map((value, i) => Number(keep(value, i))),
          [values.length],
          a.dtype,
        );
      const hardAlike = mask((value, i) => labels[i] === 1 && value > nearest);
      const hardOther = mask((value, i) => labels[i] === 0 && value < furthest);
      return add(sum(mul(hardAlike, square(distances))), sum(mul(hardOther, square(relu(sub(margin, distances))))));
    },
  }),
});
