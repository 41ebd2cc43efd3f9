import { concat, crossEntropy, mul, noGrad, scope, type Tensor, tensor, where } from "@cloze/tensor";
import { z } from "zod";
import { ClozeError } from "../../errors.js";
import { cosineMatrix } from "./distances.js";
import { defineLoss, type LossInput } from "./loss.js";

/**
 * GISTEmbed (arXiv 2402.16829): multiple negatives, without those that a guiding model finds nearer to the anchor than its
 * positive. Anchors and positives are negatives for each other too.
 *
 * Rows: (anchor, positive) or (anchor, positive, negative). The guide is an embedder that already knows the language.
 */
export const gist = defineLoss({
  type: "gist",
  description: "as multiple-negatives, without what a guiding model holds for false negatives",
  rows: "pair",
  search: false,
  cacheable: false,
  options: z.strictObject({
    temperature: z.number().positive().default(0.01).describe("what cosines are divided by"),
    strategy: z.enum(["absolute", "relative"]).default("absolute").describe("how the margin is meant"),
    margin: z.number().default(0).describe("a negative this much below the guide's positive is left out too"),
    anchors: z.boolean().default(true).describe("other anchors are negatives"),
    positives: z.boolean().default(true).describe("positives shall differ from each other"),
  }),
  create({ temperature, strategy, margin, anchors: withAnchors, positives: withPositives }, { guide }) {
    if (guide === undefined) {
      throw new ClozeError("LOSS_GUIDE", "The loss gist needs a guiding embedder", {
        remedy: "Name one with --guide.",
      });
    }
    return {
      scaleInvariant: true,
      needs: { texts: true },
      forward({ columns: [anchors, positives, negatives], texts = [] }: LossInput) {
        const rows = anchors.shape[0];
        /** A block of cosines, with minus infinity where the guide says so. */
        const block = (a: Tensor, b: Tensor, guided: Float32Array, limits: Float32Array, keepDiagonal: boolean) => {
          const columns = b.shape[0];
          const out = Float32Array.from(guided, (value, i) => {
            const row = Math.floor(i / columns);
            return Number(value > limits[row] && !(keepDiagonal && i % columns === row));
          });
          return where(tensor(out, [rows, columns]), Number.NEGATIVE_INFINITY, cosineMatrix(a, b));
        };
        const guided = scope(() =>
          noGrad(() => {
            const [a, p, n] = texts.map((list) => guide(list));
            const matrix = (x: Tensor, y: Tensor) => cosineMatrix(x, y).toTypedArray() as Float32Array;
            return {
              positive: matrix(a, p),
              anchors: withAnchors ? matrix(a, a) : undefined,
              positives: withPositives ? matrix(p, p) : undefined,
              negatives: n === undefined ? undefined : matrix(a, n),
            };
          }),
        );
        const limits = Float32Array.from({ length: rows }, (_, i) => {
          const own = guided.positive[i * rows + i];
          return own - (strategy === "absolute" ? margin : Math.abs(own) * margin);
        });
        const blocks = [block(anchors, positives, guided.positive, limits, true)];
        if (guided.anchors) blocks.push(block(anchors, anchors, guided.anchors, limits, false));
        if (guided.positives) blocks.push(block(positives, positives, guided.positives, limits, false));
        if (guided.negatives) blocks.push(block(anchors, negatives, guided.negatives, limits, false));
        const scores = mul(concat(blocks, 1), 1 / temperature); // [rows, all candidates]
        return crossEntropy(scores, tensor(Int32Array.from({ length: rows }, (_, i) => i)));
      },
    };
  },
});
