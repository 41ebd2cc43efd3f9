import { concat } from "@cloze/tensor";
import { z } from "zod";
import { contrastiveLoss } from "../../objectives/contrastive.js";
import { defineLoss } from "./loss.js";

/**
 * Multiple negatives ranking (InfoNCE, arXiv 1705.00652): -log softmax(scale x cos(anchor, positive)) over all positives and
 * negatives of the batch. Symmetric: the anchors are ranked for each positive too. With inner products and a scale of 1 it is
 * the loss of DPR (arXiv 2004.04906).
 *
 * Rows: (anchor, positive) or (anchor, positive, negatives …). Take large batches (in parts where memory is short) in which no
 * text occurs twice. Relations: `gist` leaves out what a guide holds for a false negative.
 */
export const multipleNegatives = defineLoss({
  type: "multiple-negatives",
  aliases: ["mnrl", "info-nce"],
  description: "each anchor is nearest to its own positive among those of its batch and the given negatives",
  rows: "pair",
  search: true,
  options: z.strictObject({
    similarity: z.enum(["cosine", "dot"]).default("cosine").describe("how an anchor and a positive are scored"),
    scale: z.number().positive().default(20).describe("what scores are multiplied by (1 / temperature); 1 suits dot"),
    symmetric: z.boolean().default(false).describe("rank the anchors for each positive too"),
  }),
  create: ({ similarity, scale, symmetric }) => ({
    scaleInvariant: similarity === "cosine",
    forward({ columns: [anchors, positives, negatives] }) {
      const documents = negatives === undefined ? positives : concat([positives, negatives], 0);
      return contrastiveLoss(anchors, documents, { temperature: 1 / scale, symmetric, similarity });
    },
  }),
});
