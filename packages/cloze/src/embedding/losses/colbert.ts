import { add, concat, crossEntropy, mul, tensor } from "@cloze/tensor";
import { z } from "zod";
import { maxSimMatrix } from "../../retrieval/late-interaction/max-sim.js";
import { defineLoss } from "./loss.js";

/** Offsets of columns that stand one after the other. */
const joined = (columns: readonly Int32Array[]): Int32Array => {
  const ends: number[] = [0];
  for (const column of columns) {
    const start = ends[ends.length - 1];
    for (const end of column.subarray(1)) ends.push(start + end);
  }
  return Int32Array.from(ends);
};

/**
 * Late interaction (ColBERT, arXiv 2004.12832): -log softmax(scale x MaxSim(query, positive)) over all positives and negatives of
 * the batch.
 *
 * Rows: (query, positive) or (query, positive, negatives …).
 */
export const colbert = defineLoss({
  type: "colbert",
  aliases: ["late-interaction"],
  description: "each query's MaxSim with its own positive is the largest of the batch; for --encoder colbert",
  rows: "pair",
  search: true,
  cacheable: false,
  options: z.strictObject({
    scale: z.number().positive().default(1).describe("what scores are multiplied by (1 / temperature)"),
    inBatch: z
      .boolean()
      .default(true)
      .describe(
        "documents of other rows are wrong answers too; false: each row's negatives alone, as the paper has it",
      ),
  }),
  create: ({ scale, inBatch }) => ({
    scaleInvariant: false,
    needs: { offsets: true },
    forward({ columns: [queries, ...documents], offsets = [] }) {
      const [queryOffsets, ...documentOffsets] = offsets;
      const rows = queryOffsets.length - 1;
      const all = joined(documentOffsets);
      const scores = mul(
        maxSimMatrix(queries, queryOffsets, documents.length === 1 ? documents[0] : concat(documents, 0), all),
        scale,
      ); // [rows, documents]
      const targets = tensor(Int32Array.from({ length: rows }, (_, i) => i));
      if (inBatch) return crossEntropy(scores, targets);
      const count = all.length - 1;
      const each = count / rows - 1;
      // Documents of other rows are pushed out of the softmax.
      const mask = Float32Array.from({ length: rows * count }, (_, i) => {
        const [row, place] = [Math.floor(i / count), i % count];
        const own = place < rows ? place : Math.floor((place - rows) / each);
        return own === row ? 0 : -1e9;
      });
      return crossEntropy(add(scores, tensor(mask, scores.shape)), targets);
    },
  }),
});
