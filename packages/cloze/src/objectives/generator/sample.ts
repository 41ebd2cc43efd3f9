import { mul, noGrad, scope, softmax, type Tensor } from "@cloze/tensor";
import type { RandomSource } from "../../data/random-source.js";

/**
 * Draws a class for each row from softmax(logits / temperature); no gradient goes through.
 *
 * @param logits [rows, classes]
 * @param never a class that is not drawn ([MASK]); its chance goes to the others
 * @returns [rows]
 */
export function sampleRows(logits: Tensor, random: RandomSource, temperature = 1, never?: number): Int32Array {
  const [rows, classes] = logits.shape;
  const chances = scope(() =>
    noGrad(() => softmax(temperature === 1 ? logits : mul(logits, 1 / temperature)).toTypedArray()),
  ) as Float32Array;
  const drawn = new Int32Array(rows);
  for (let row = 0; row < rows; row++) {
    const start = row * classes;
    if (never !== undefined) chances[start + never] = 0;
    let total = 0;
    for (let c = 0; c < classes; c++) total += chances[start + c];
    const wanted = random() * total;
    let sum = 0;
    let last = 0;
    for (let c = 0; c < classes; c++) {
      const chance = chances[start + c];
      if (chance === 0) continue;
      sum += chance;
      last = c;
      if (sum > wanted) break;
    }
    drawn[row] = last;
  }
  return drawn;
}
