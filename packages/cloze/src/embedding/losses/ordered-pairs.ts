// The ranking of pairs by their scores, which CoSENT and AnglE share.
import { concat, logSumExp, reshape, sub, type Tensor, take, tensor, zeros } from "@cloze/tensor";

/**
 * log(1 + sum over pairs (i, j) with label_i < label_j of exp(score_i - score_j)): a row that should be nearer than another
 * shall score higher. 0 where all labels are equal.
 *
 * @param scores [rows]
 */
export function orderedPairsLoss(scores: Tensor, labels: Float32Array): Tensor {
  const [low, high]: [number[], number[]] = [[], []];
  for (let i = 0; i < labels.length; i++) {
    for (let j = 0; j < labels.length; j++) {
      if (!(labels[i] < labels[j])) continue;
      low.push(i);
      high.push(j);
    }
  }
  const column = reshape(scores, [labels.length, 1]);
  const at = (rows: number[]) => take(column, tensor(Int32Array.from(rows)));
  const zero = zeros([1, 1], scores.dtype);
  const differences = low.length === 0 ? zero : concat([zero, sub(at(low), at(high))], 0);
  return logSumExp(reshape(differences, [differences.shape[0]]));
}
