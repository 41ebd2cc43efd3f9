import { add, mean, relu, sub } from "@cloze/tensor";
import { z } from "zod";
import { distanceOption, rowDistance } from "./distances.js";
import { defineLoss } from "./loss.js";

/**
 * Triplet loss: mean of max(0, d(anchor, positive) - d(anchor, negative) + margin).
 *
 * Rows: (anchor, positive, negative). Without negatives, or with many rows, `multiple-negatives` learns more from a batch.
 */
export const triplet = defineLoss({
  type: "triplet",
  description: "the positive shall be nearer to the anchor than the negative, by a margin",
  rows: "triplet",
  search: true,
  options: z.strictObject({
    distance: distanceOption("euclidean"),
    margin: z.number().min(0).default(5).describe("by how much"),
  }),
  create: ({ distance, margin }) => ({
    scaleInvariant: distance === "cosine",
    forward: ({ columns: [anchors, positives, negatives] }) =>
      mean(
        relu(add(sub(rowDistance(distance, anchors, positives), rowDistance(distance, anchors, negatives)), margin)),
      ),
  }),
});
