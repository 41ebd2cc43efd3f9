import { add, argmax, crossEntropy, matmul, mul, noGrad, scope, type Tensor, tensor, transpose } from "@cloze/tensor";
import { z } from "zod";
import { normalizeRows } from "../../objectives/contrastive.js";
import { defineLoss } from "./loss.js";

/** The row that each row resembles most, on either side: argmax_j (U Uᵀ + V Vᵀ) / 2. u, v: [rows, width] -> int32 [rows] */
export const nearestTargets = (u: Tensor, v: Tensor): Int32Array =>
  scope(() =>
    noGrad(() => {
      const likeness = add(matmul(u, transpose(u)), matmul(v, transpose(v)));
      return Int32Array.from(argmax(likeness).toTypedArray());
    }),
  );

/**
 * Multiple negatives ranking in both directions, where a row may be told to choose another one that resembles it more than
 * itself (arXiv 2401.15713): S = scale U Vᵀ, t = argmax_j (U Uᵀ + V Vᵀ)_j, (CE(S, t) + CE(Sᵀ, t)) / 2. With cosines, the
 * default, a row is nearest to itself, unless texts of the batch are the same; with inner products (`similarity: "dot"`, scale 1
 * is the paper's) long vectors may become everybody's target, and training can collapse.
 *
 * Rows: (anchor, positive). Relations: `multiple-negatives` with `symmetric` has each row's own place as target.
 */
export const multipleNegativesPlus = defineLoss({
  type: "multiple-negatives-plus",
  aliases: ["mnr-plus"],
  description:
    "as multiple-negatives in both directions; a row may choose another one that resembles it more than itself",
  rows: "pair",
  search: true,
  options: z.strictObject({
    scale: z.number().positive().default(20).describe("what similarities are multiplied by"),
    similarity: z.enum(["cosine", "dot"]).default("cosine").describe("of two vectors"),
  }),
  create: ({ scale, similarity }) => ({
    scaleInvariant: similarity === "cosine",
    forward({ columns }) {
      const [u, v] = similarity === "cosine" ? columns.slice(0, 2).map(normalizeRows) : columns;
      const targets = tensor(nearestTargets(u, v));
      const scores = mul(matmul(u, transpose(v)), scale); // [rows, rows]
      return mul(add(crossEntropy(scores, targets), crossEntropy(transpose(scores), targets)), 0.5);
    },
  }),
});
