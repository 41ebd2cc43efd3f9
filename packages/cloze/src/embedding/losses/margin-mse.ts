import { concat, meanSquaredError, reshape, slice, sub, tensor } from "@cloze/tensor";
import { z } from "zod";
import { ClozeError } from "../../errors.js";
import { rowCosine, rowDot } from "./distances.js";
import { defineLoss } from "./loss.js";

/**
 * Margin-MSE (arXiv 2010.02666): the differences s(query, positive) - s(query, negative) shall equal those of a teacher, often
 * a cross-encoder.
 *
 * Rows: (query, positive, negatives …, the teacher's differences, or its scores of positive and negatives).
 */
export const marginMse = defineLoss({
  type: "margin-mse",
  description: "differences of scores shall equal a teacher's (distils a cross-encoder)",
  rows: "margin",
  search: true,
  options: z.strictObject({
    similarity: z.enum(["dot", "cosine"]).default("dot").describe("how a query and a document are scored"),
  }),
  create: ({ similarity }) => ({
    scaleInvariant: similarity === "cosine",
    forward({ columns: [queries, positives, negatives], labels = new Float32Array(), labelWidth = 1 }) {
      const rows = queries.shape[0];
      const each = (negatives?.shape[0] ?? 0) / rows;
      if (!Number.isInteger(each) || each < 1 || (labelWidth !== each && labelWidth !== each + 1)) {
        throw new ClozeError(
          "LABELS_SHAPE",
          "margin-mse takes a difference for each negative, or a score for each text",
          {
            expected: `${each} or ${each + 1} numbers a row`,
            received: String(labelWidth),
          },
        );
      }
      const score = similarity === "dot" ? rowDot : rowCosine;
      const right = reshape(score(queries, positives), [rows, 1]);
      // Negatives of a row stand together.
      const byRow = reshape(negatives, [rows, each * negatives.shape[1]]);
      const width = negatives.shape[1];
      const margins = Array.from({ length: each }, (_, n) => {
        const wrong = slice(byRow, [{}, { start: n * width, end: (n + 1) * width }]);
        return sub(right, reshape(score(queries, wrong), [rows, 1]));
      });
      const wanted = Float32Array.from({ length: rows * each }, (_, i) => {
        const [row, n] = [Math.floor(i / each), i % each];
        return labelWidth === each ? labels[i] : labels[row * labelWidth] - labels[row * labelWidth + n + 1];
      });
      return meanSquaredError(concat(margins, 1), tensor(wanted, [rows, each], queries.dtype));
    },
  }),
});
