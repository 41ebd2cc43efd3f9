import { abs, add, concat, mul, neg, slice, sum, type Tensor, zeros } from "@cloze/tensor";
import { z } from "zod";
import { normalizeRows } from "../../objectives/contrastive.js";
import { defineLoss } from "./loss.js";
import { orderedPairsLoss } from "./ordered-pairs.js";

/** |cos + sin| of rows read as complex numbers, whose halves are real and imaginary parts. -> [rows] */
function angleSimilarity(a: Tensor, b: Tensor): Tensor {
  const rows = a.shape[0];
  const even = (x: Tensor) => (x.shape[1] % 2 === 0 ? x : concat([x, zeros([rows, 1], x.dtype)], 1));
  const [x, y] = [even(normalizeRows(a)), even(normalizeRows(b))];
  const half = x.shape[1] / 2;
  const [real, imaginary] = [slice(y, [{}, { start: 0, end: half }]), slice(y, [{}, { start: half, end: 2 * half }])];
  // sum(x y) is the cosine; sum(x y') with y' = (-imaginary, real) the sine. One product serves both.
  const turned = concat([neg(imaginary), real], 1);
  return abs(sum(mul(x, add(y, turned)), [1]));
}

/**
 * AnglE (arXiv 2309.12871): CoSENT's formula over differences of angles in complex space, which do not saturate as cosines
 * do.
 *
 * Rows: (text, text, score).
 */
export const angle = defineLoss({
  type: "angle",
  description: "as cosent, over angles in complex space",
  rows: "scored-pair",
  search: false,
  options: z.strictObject({ scale: z.number().positive().default(20).describe("what angles are multiplied by") }),
  create: ({ scale }) => ({
    scaleInvariant: true,
    forward: ({ columns: [a, b], labels }) =>
      orderedPairsLoss(mul(angleSimilarity(a, b), scale), labels as Float32Array),
  }),
});
