import { mul } from "@cloze/tensor";
import { z } from "zod";
import { rowCosine } from "./distances.js";
import { defineLoss } from "./loss.js";
import { orderedPairsLoss } from "./ordered-pairs.js";

/**
 * CoSENT (Su 2022): log(1 + sum exp(scale (cos_i - cos_j))) over pairs of rows whose scores say that j is nearer than i.
 *
 * Rows: (text, text, score), any range of scores. Learns the order of scores, as Spearman's correlation measures it; usually
 * better than `cosine`.
 */
export const cosent = defineLoss({
  type: "cosent",
  description: "pairs with a higher score shall have the higher cosine (order of scores)",
  rows: "scored-pair",
  search: false,
  options: z.strictObject({ scale: z.number().positive().default(20).describe("what cosines are multiplied by") }),
  create: ({ scale }) => ({
    scaleInvariant: true,
    forward: ({ columns: [a, b], labels }) => orderedPairsLoss(mul(rowCosine(a, b), scale), labels as Float32Array),
  }),
});
