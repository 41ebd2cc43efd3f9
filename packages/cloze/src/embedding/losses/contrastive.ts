import { add, mean, mul, relu, square, sub, tensor } from "@cloze/tensor";
import { z } from "zod";
import { distanceOption, rowDistance } from "./distances.js";
import { defineLoss } from "./loss.js";

/** Also of `online-contrastive`. */
export const contrastiveOptions = z.strictObject({
  distance: distanceOption("cosine"),
  margin: z.number().min(0).default(0.5).describe("how far other pairs shall be"),
});

/**
 * Contrastive loss (Hadsell 2006): mean of ½ (y d² + (1 - y) max(0, margin - d)²).
 *
 * Rows: (text, text, 1 or 0). `online-contrastive` looks at the hard pairs of a batch only.
 */
export const contrastive = defineLoss({
  type: "contrastive",
  description: "alike pairs shall be near, others further than a margin",
  rows: "binary-pair",
  search: false,
  options: contrastiveOptions,
  create: ({ distance, margin }) => ({
    scaleInvariant: distance === "cosine",
    forward({ columns: [a, b], labels }) {
      const distances = rowDistance(distance, a, b); // [rows]
      const alike = tensor(labels as Float32Array, [a.shape[0]], a.dtype);
      const near = mul(alike, square(distances));
      const far = mul(sub(1, alike), square(relu(sub(margin, distances))));
      return mul(mean(add(near, far)), 0.5);
    },
  }),
});
