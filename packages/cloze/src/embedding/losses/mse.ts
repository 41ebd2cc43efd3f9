import { add, mean, meanSquaredError, mul, sub, type Tensor, tensor } from "@cloze/tensor";
import { z } from "zod";
import { ClozeError } from "../../errors.js";
import { rowCosine } from "./distances.js";
import { defineLoss } from "./loss.js";

/**
 * Distillation of vectors (arXiv 2004.09813): each text's vector shall equal the teacher's. With several texts a row (a
 * sentence and its translations) all of them shall.
 *
 * Rows: (text …, the teacher's vector of the first one).
 */
export const mse = defineLoss({
  type: "mse",
  aliases: ["distillation"],
  description: "vectors shall equal a teacher's (distils an embedder; makes one multilingual)",
  rows: "vector",
  search: false,
  options: z.strictObject({
    distance: z.enum(["mse", "cosine"]).default("mse").describe("how far a vector is from the teacher's"),
  }),
  create: ({ distance }, { width }) => ({
    scaleInvariant: distance === "cosine",
    forward({ columns, labels = new Float32Array(), labelWidth = 0 }) {
      const own = columns[0].shape[1];
      if (labelWidth < own) {
        throw new ClozeError("LABELS_SHAPE", "The teacher's vectors are shorter than the student's", {
          expected: `${width} numbers`,
          received: String(labelWidth),
          remedy: "Give the student a Dense module of that size, or take another teacher.",
        });
      }
      const rows = columns[0].shape[0];
      // A truncated student (Matryoshka) is compared with as much of the teacher's vector.
      const wanted = Float32Array.from(
        { length: rows * own },
        (_, i) => labels[Math.floor(i / own) * labelWidth + (i % own)],
      );
      const teacher = tensor(wanted, [rows, own], columns[0].dtype);
      const each = columns.map((x) =>
        distance === "mse" ? meanSquaredError(x, teacher) : mean(sub(1, rowCosine(x, teacher))),
      );
      return mul(
        each.reduce((total: Tensor, one) => add(total, one)),
        1 / each.length,
      );
    },
  }),
});
