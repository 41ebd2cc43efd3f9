import { add, concat, mean, mul, square, sum, type Tensor } from "@cloze/tensor";
import { z } from "zod";
import { defineLoss } from "./loss.js";

/**
 * How much work a batch of sparse vectors makes for an inverted index (arXiv 2004.05665): sum over the vocabulary of the squared
 * mean of a term's weights. The square of the mean, not the mean of squares: terms that all texts share cost most.
 *
 * @param weights at least 0: [texts, vocabulary] -> one number
 */
export const flops = (weights: Tensor): Tensor => sum(square(mean(weights, [0])));

/** Steps until FLOPS have their full weight, unless told. @param steps of the run; where they are not known, 3000 */
const usualWarmup = (steps = 3000): number => Math.round(steps / 3);

/**
 * SPLADE (arXiv 2107.05720): any loss on inner products, and the FLOPS of queries and of documents, whose weights grow with the
 * square of the steps: (step / warm-up)^2, 1 at most.
 *
 * Rows: those of the loss it wraps. For SPLADE++ wrap margin-mse.
 */
export const splade = defineLoss({
  type: "splade",
  description: "any loss (base) on sparse vectors, which are kept sparse (FLOPS); for --encoder splade or unicoil",
  rows: "any",
  search: true,
  unknownLength: ({ warmupSteps }) =>
    warmupSteps === undefined
      ? `FLOPS weigh their full weight from step ${usualWarmup()} on. Say --set warmupSteps=`
      : undefined,
  options: z.strictObject({
    base: z
      .union([z.string(), z.looseObject({ type: z.string() })])
      .default({ type: "multiple-negatives", similarity: "dot", scale: 1 })
      .describe("the loss on the vectors; multiple-negatives on inner products unless told"),
    queryWeight: z.number().min(0).default(3e-4).describe("of the FLOPS of queries"),
    documentWeight: z.number().min(0).default(1e-4).describe("of the FLOPS of documents"),
    warmupSteps: z.int().min(0).optional().describe("until both have their weight; default: a third of the steps"),
  }),
  create({ base, queryWeight, documentWeight, warmupSteps }, setup) {
    const inner = setup.base(base);
    const warmup = warmupSteps ?? usualWarmup(setup.steps);
    return {
      ...inner,
      scaleInvariant: false,
      forward(input) {
        const { columns, step = 0 } = input;
        const [queries, ...documents] = columns;
        const share = warmup === 0 ? 1 : Math.min(1, (step + 1) / warmup) ** 2;
        const terms = [
          inner.forward(input),
          mul(flops(queries), queryWeight * share),
          ...(documents.length === 0 ? [] : [mul(flops(concat(documents, 0)), documentWeight * share)]),
        ];
        return terms.reduce((total, one) => add(total, one));
      },
    };
  },
});
